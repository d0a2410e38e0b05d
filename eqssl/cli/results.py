"""Downstream runs in one table: ``base=work_dirs/a_* ours=work_dirs/b_*``."""

from __future__ import annotations

import argparse

from eqssl.utils.flags import result_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('groups', nargs='+', metavar='NAME=DIR')
    parser.add_argument('--measures', nargs='+', metavar='KEY', help='e.g. mIoU or coco/bbox_mAP; default all')
    parser.add_argument('--best', action='store_true', help='best validation by the first measure, not the last one')
    parser.add_argument('--json', type=result_file, metavar='FILE')


def run(args: argparse.Namespace) -> int:
    """Print the table and store it."""
    from eqssl.apps.downstream_results import collect, read_groups
    from eqssl.utils.tables import format_table, write_json

    rows = collect(read_groups(args.groups), args.measures, args.best)
    print(format_table(rows))
    if args.json:
        write_json(args.json, rows)
    return 0
