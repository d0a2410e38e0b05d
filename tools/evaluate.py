"""Evaluate frozen features: ``python tools/evaluate.py CONFIG CHECKPOINT [--tasks knn equivariance] [--controls]``.

Without an ``evaluation`` key in the config, equivariance is measured on the images of data_root.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eqssl.utils.errors import run_cli


def parse_args() -> argparse.Namespace:
    """Flags."""
    from eqssl.utils.flags import add_cfg_options, path_text, result_file

    parser = argparse.ArgumentParser(description='Evaluate frozen features of a checkpoint.')
    parser.add_argument('config', type=path_text)
    parser.add_argument('checkpoint', type=path_text)
    parser.add_argument('--tasks', nargs='+', help='tasks of the config, all by default')
    parser.add_argument('--branch', choices=['teacher', 'student'])
    parser.add_argument('--controls', action='store_true', help='raw pixels and random initialization beside it')
    parser.add_argument('--json', type=result_file, metavar='FILE')
    add_cfg_options(parser)
    parser.add_argument('--debug', action='store_true')
    return parser.parse_args()


def main() -> int:
    """Print the table."""
    args = parse_args()
    from eqssl.apps.evaluate import evaluate_checkpoint
    from eqssl.utils.tables import format_table, write_json

    results = evaluate_checkpoint(
        args.config, args.checkpoint, args.cfg_options, args.tasks, args.branch, args.controls
    )
    keys = list(dict.fromkeys(key for result in results.values() for key in result))
    print(format_table([{'measure': key, **{name: r.get(key) for name, r in results.items()}} for key in keys]))
    if args.json:
        write_json(args.json, results)
    return 0


if __name__ == '__main__':
    run_cli(main)
