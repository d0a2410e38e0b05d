"""Train several configs with several seeds and print one table; run it again to continue."""

from __future__ import annotations

import argparse
from pathlib import Path

from eqssl.utils.flags import add_cfg_options, path

MEASURES = {'kNN top-1': 'knn_top1', 'RankMe': 'rankme', 'feature std': 'feature_std', 'minutes': 'minutes'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('configs', nargs='+', type=path)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--work-dir', type=path, default=Path('work_dirs/compare'))
    add_cfg_options(parser)
    parser.add_argument('--interval', type=int, default=0, help='iterations between evaluations; 0: only at the end')
    parser.add_argument('--measures', nargs='+', metavar='KEY', default=[], help='further keys of the table')
    parser.add_argument('--pairs', nargs='+', default=[], metavar='OURS=BASE', help='rows with the gain, seed by seed')
    parser.add_argument('--curves', nargs='+', metavar='KEY', help='draw these measures against steps')


def run(args: argparse.Namespace) -> int:
    """Print the table and store it."""
    from eqssl.apps.compare import Comparison, parse_pairs
    from eqssl.utils.tables import format_table, write_json

    comparison = Comparison(args.work_dir, args.cfg_options, args.interval)
    measures = {**MEASURES, **{key: key for key in args.measures}}
    rows = comparison.table(args.configs, args.seeds, measures, parse_pairs(args.pairs))
    print(format_table(rows))
    write_json(args.work_dir / 'table.json', rows)
    if args.curves:
        print(f'curves in {comparison.draw_curves(args.configs, args.seeds, args.curves)}')
    return 0
