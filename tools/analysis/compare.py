"""Train several configs with several seeds and print one table; run it again to continue.

``python tools/analysis/compare.py configs/bases/*.py --seeds 0 1 2 --work-dir work_dirs/bases``
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqssl.utils.errors import UserError, run_cli

MEASURES = {'kNN top-1': 'knn_top1', 'RankMe': 'rankme', 'feature std': 'feature_std', 'minutes': 'minutes'}


def main() -> int:
    """Print the table and store it."""
    from eqssl.utils.flags import add_cfg_options, path

    parser = argparse.ArgumentParser(description='Compare configs over seeds.')
    parser.add_argument('configs', nargs='+', type=path)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--work-dir', type=path, default=Path('work_dirs/compare'))
    add_cfg_options(parser)
    parser.add_argument('--interval', type=int, default=0, help='iterations between evaluations; 0: only at the end')
    parser.add_argument('--measures', nargs='+', metavar='KEY', default=[], help='further keys of the table')
    parser.add_argument('--pairs', nargs='+', default=[], metavar='OURS=BASE', help='rows with the gain, seed by seed')
    parser.add_argument('--curves', nargs='+', metavar='KEY', help='draw these measures against steps')
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()
    from eqssl.apps.compare import Comparison
    from eqssl.utils.tables import format_table, write_json

    comparison = Comparison(args.work_dir, args.cfg_options, args.interval)
    pairs = []
    for word in args.pairs:
        ours, sign, base = word.partition('=')
        if not sign:
            raise UserError(f"--pairs: '{word}' is not of the form OURS=BASE")
        pairs.append((ours, base))
    rows = comparison.table(args.configs, args.seeds, {**MEASURES, **{key: key for key in args.measures}}, pairs)
    print(format_table(rows))
    write_json(args.work_dir / 'table.json', rows)
    if args.curves:
        from PIL import Image

        from eqssl.utils.json_lines import read_lines
        from eqssl.visualization.curves import draw_comparison

        runs = {
            c.stem: [read_lines(comparison.work_dir(c, seed) / 'evaluation.jsonl') for seed in args.seeds]
            for c in args.configs
        }
        Image.fromarray(draw_comparison(runs, {key: key for key in args.curves})).save(args.work_dir / 'curves.png')
        print(f'curves in {args.work_dir / "curves.png"}')
    return 0


if __name__ == '__main__':
    run_cli(main)
