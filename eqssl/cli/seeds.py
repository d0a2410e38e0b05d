"""Mean and spread over runs of the demo: ``work_dirs/demo_simclr_photos_seed?``."""

from __future__ import annotations

import argparse

from eqssl.utils.flags import path, result_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('folders', type=path, nargs='+')
    parser.add_argument('--json', type=result_file, metavar='FILE')


def run(args: argparse.Namespace) -> int:
    """Print the table and the gain of reconstruction over the base alone, seed by seed."""
    from eqssl.apps.seeds import read_results, seeds_table
    from eqssl.utils.tables import format_table, write_json

    rows = seeds_table(read_results(args.folders))
    print(format_table(rows))
    if args.json:
        write_json(args.json, rows)
    return 0
