"""Pre-train, evaluate and report in a few minutes; see ``make demo``."""

from __future__ import annotations

import argparse
import warnings

from eqssl.utils.flags import add_cfg_options, result_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('--method', choices=['simclr', 'ibot'], default='simclr', help='the base method')
    parser.add_argument('--data', choices=['photos', 'objects', 'cifar10'], default='photos')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train-base', action='store_true', help='train the base alone instead of its stored result')
    parser.add_argument('--store-base', action='store_true', help='store the result of the base alone (maintainers)')
    add_cfg_options(parser)
    parser.add_argument('--json', type=result_file, metavar='FILE', help='write the table as JSON')


def run(args: argparse.Namespace) -> int:
    """Run it."""
    warnings.filterwarnings('ignore')
    from eqssl.apps.demo import Demo, run_demo
    from eqssl.utils.tables import write_json

    demo = Demo(args.method, args.data, args.seed, tuple(args.cfg_options))
    _, rows = run_demo(demo, args.train_base, args.store_base)
    if args.json:
        write_json(args.json, rows)
    return 0
