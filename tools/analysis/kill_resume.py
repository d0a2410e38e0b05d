"""Kill a job at random moments, resume, compare bit for bit with uninterrupted runs.

python tools/analysis/kill_resume.py configs/demo/ibot_recon_objects.py --kills 10 --workers 2 --ranks 1
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqssl.utils.errors import run_cli

DROPOUT = {'drop_path_rate': 0.2, 'drop_rate': 0.1}  # where the backbone has them: what draws random numbers


def parse_args() -> argparse.Namespace:
    """Flags."""
    from eqssl.utils.flags import add_cfg_options, path_text, result_file

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=path_text)
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--iters', type=int, default=60)
    parser.add_argument('--workers', type=int, default=0)
    parser.add_argument('--ranks', type=int, default=1)
    parser.add_argument('--batch', type=int, default=16, help='images per rank')
    parser.add_argument('--signal', choices=['KILL', 'TERM', 'USR1'], default='KILL')
    parser.add_argument('--seed', type=int, default=0)
    add_cfg_options(parser)
    parser.add_argument('--json', type=result_file, metavar='FILE')
    parser.add_argument('--debug', action='store_true')
    return parser.parse_args()


def main() -> int:
    """Print the comparison; exit code 1 on any difference."""
    args = parse_args()
    from eqssl.apps.drill import Job, interrupted_run, outcome
    from eqssl.apps.open_config import open_config
    from eqssl.config.schema import accepted_keys, resolve
    from eqssl.utils.tables import format_table, write_json

    accepted = (
        accepted_keys(resolve(open_config(args.config, args.cfg_options).model.backbone.type, 'model.backbone')) or ()
    )
    dropout = [f'model.backbone.{key}={rate}' for key, rate in DROPOUT.items() if key in accepted]
    options = [
        f'train_cfg.max_iters={args.iters}',
        'train_cfg.max_epochs=None',
        f'train_dataloader.num_workers={args.workers}',
        f'train_dataloader.batch_size={args.batch}',
        'default_hooks.checkpoint.interval=4',
        'default_hooks.checkpoint.by_epoch=False',
        *dropout,
        f'param_scheduler.0.warmup={args.iters // 6}',
        'param_scheduler.0.by_epoch=False',
        *args.cfg_options,
    ]
    rng = random.Random(args.seed)
    moments = sorted(rng.sample(range(1, args.iters - 1), min(args.kills, args.iters - 2)))
    with tempfile.TemporaryDirectory() as folder:
        job = Job(args.config, options, args.ranks)
        for name in ('a', 'b'):
            if job.finish(Path(folder) / name, resume=False):
                print((Path(folder) / f'{name}.out').read_text()[-3000:], file=sys.stderr)
                return 1
        first, second = outcome(Path(folder) / 'a'), outcome(Path(folder) / 'b')
        number = signal.Signals[f'SIG{args.signal}']
        killed = interrupted_run(job, Path(folder) / 'killed', moments, number, args.seed)
    rows = [
        {
            'run': name,
            'interruptions': len(run.interruptions),
            'iterations': len(run.losses),
            'iterations that differ': first.differences(run),
            'same final state': run.state == first.state,
        }
        for name, run in (('uninterrupted', first), ('uninterrupted again', second), (f'SIG{args.signal}', killed))
    ]
    print(format_table(rows))
    print(f'interrupted after iterations {killed.interruptions}; state {first.state[:16]}')
    if args.json:
        write_json(args.json, rows)
    return int(any(row['iterations that differ'] or not row['same final state'] for row in rows))


if __name__ == '__main__':
    run_cli(main)
