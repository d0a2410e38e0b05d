"""Measure frozen features of a checkpoint.

Without an ``evaluation`` key in the config, equivariance is measured on the images of data_root.
"""

from __future__ import annotations

import argparse

from eqssl.utils.flags import add_cfg_options, path_text, result_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('config', type=path_text)
    parser.add_argument('checkpoint', type=path_text)
    parser.add_argument('--tasks', nargs='+', help='tasks of the config, all by default')
    parser.add_argument('--branch', choices=['teacher', 'student'])
    parser.add_argument('--controls', action='store_true', help='raw pixels and random initialization beside it')
    parser.add_argument('--json', type=result_file, metavar='FILE')
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from eqssl.apps.evaluate import evaluate_checkpoint
    from eqssl.experiment import write
    from eqssl.utils.tables import format_table

    found = evaluate_checkpoint(args.config, args.checkpoint, args.cfg_options, args.tasks, args.branch, args.controls)
    results = found.results
    keys = list(dict.fromkeys(key for result in results.values() for key in result))
    print(format_table([{'measure': key, **{name: r.get(key) for name, r in results.items()}} for key in keys]))
    if args.json:
        write(args.json, found)
    return 0
