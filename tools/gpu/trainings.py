"""Real trainings, shortest first: ``python tools/gpu/trainings.py --data-root DIR --seconds 300``.

Each is ``tools/train.py`` on a config of this repository; one that outlasts the time is stopped by a signal, saves, and
can go on (the same command again). The last measures of each are one JSON line.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from correctness import ROOT

from eqssl.utils.errors import run_cli

CONFIGS = (
    'eqssl/simclr_narrow_cifar10_100e', 'eqssl/simclr_recon_narrow_cifar10_100e', 'eqssl/ibot_vitti_cifar10',
    'eqssl/ibot_recon_vitti_cifar10', 'eqssl/byol_r18_cifar10', 'eqssl/byol_rotation_r18_cifar10',
)  # fmt: skip
ON_A_GPU = ['optim_wrapper.precision=bf16', 'train_dataloader.prefetch_factor=4']
WORKERS = 12  # of all runs on a GPU together
STOP = 60  # seconds that a stopped run has for saving


def command(config: str, work_dir: Path, args: argparse.Namespace) -> list[str]:
    """Of one training; continued where it stopped."""
    options, steps = [f'data_root={args.data_root}'], args.steps
    workers = WORKERS // args.at_once if torch.cuda.is_available() else 0
    options += [*ON_A_GPU * bool(workers), f'train_dataloader.num_workers={workers}']
    if args.epochs is not None:
        options += [f'train_cfg.max_epochs={args.epochs}', f'default_hooks.evaluation.interval={args.epochs}']
    if steps is not None:
        options += [f'train_cfg.max_iters={steps}', 'train_cfg.max_epochs=None', 'default_hooks.logger.interval=1']
        options += [
            'param_scheduler.0.warmup=0',
            'default_hooks.evaluation.tasks=[knn]',
            'evaluation.limits.train=64',
            'evaluation.limits.test=32',
            'train_dataloader.batch_size=8',
        ]
    file = ROOT / 'configs' / f'{config}.py'
    line = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(file), '--work-dir', str(work_dir)]
    return [*line, *['--resume'] * work_dir.is_dir(), '--cfg-options', *options]


def run(line: list[str], log: Path, limit: float) -> int:
    """Exit code; at the limit the run is asked to save and end, and killed where it does not."""
    with open(log, 'a') as stream:
        process = subprocess.Popen(line, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, 'COLUMNS': '200'})
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def result(config: str, work_dir: Path, code: int, took: float) -> dict[str, Any]:
    """What a run left: its last log line and evaluation, speed, exit code (75: stopped, saved)."""
    from eqssl.utils.json_lines import read_lines

    row: dict[str, Any] = {'config': config, 'exit_code': code, 'seconds': round(took, 1)}
    for name, file in (('log', 'log.jsonl'), ('evaluation', 'evaluation.jsonl')):
        lines = read_lines(work_dir / file)
        row[name] = lines[-1] if lines else None
    return row


def train(config: str, args: argparse.Namespace, begin: float) -> int:
    """One training, its line in the results; 1 where it fails, 0 also where no time is left for it."""
    from eqssl.utils.json_lines import append_line

    left, failed = args.seconds - (time.time() - begin) - 5, 0
    row: dict[str, Any] = {'config': config, 'left out': 'no time'}
    if left > 20:
        work_dir, start = args.work_dirs / config.replace('/', '_'), time.time()
        log = args.work_dirs / f'{work_dir.name}.txt'
        code = run(command(config, work_dir, args), log, left)
        row = {**result(config, work_dir, code, time.time() - start), 'at_once': args.at_once}
        if code not in (0, 75):
            failed = 1
            print(*log.read_text().splitlines()[-20:], sep='\n')
    append_line(args.out, row)
    found = row.get('evaluation') or {}
    shown = row.get('left out') or {key: found.get(key) for key in ('iter', 'knn_top1')}
    print(f'{config}: {shown}', flush=True)
    return failed


def main() -> int:
    """Train in order while there is time; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', default='cifar10')
    parser.add_argument('--steps', type=int, help='only so many iterations of small batches (to try the script)')
    parser.add_argument('--epochs', type=int, help='instead of those of the config; evaluated at the end')
    parser.add_argument('--at-once', type=int, default=1, help='so many side by side: small networks leave a GPU idle')
    parser.add_argument('--seconds', type=float, default=1e9, help='of all trainings together')
    parser.add_argument('--configs', nargs='+', default=CONFIGS)
    parser.add_argument('--work-dirs', type=Path, default=Path('work_dirs/gpu'))
    parser.add_argument('--out', type=Path, default=Path('trainings.jsonl'))
    args = parser.parse_args()
    args.out.unlink(missing_ok=True)
    args.work_dirs.mkdir(parents=True, exist_ok=True)
    begin = time.time()
    with ThreadPoolExecutor(args.at_once) as pool:
        return max(pool.map(lambda config: train(config, args, begin), args.configs))


if __name__ == '__main__':
    run_cli(main)
