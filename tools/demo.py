"""The demo: ``python tools/demo.py [--method simclr] [--data photos] [--seed 0]``; see ``make demo``."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eqssl.utils.errors import run_cli


def main() -> int:
    """Run it."""
    from eqssl.utils.flags import add_cfg_options, result_file

    parser = argparse.ArgumentParser(description='Pre-train, evaluate and report in a few minutes.')
    parser.add_argument('--method', choices=['simclr', 'ibot'], default='simclr', help='the base method')
    parser.add_argument('--data', choices=['photos', 'objects', 'cifar10'], default='photos')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train-base', action='store_true', help='train the base alone instead of its stored result')
    parser.add_argument('--store-base', action='store_true', help='store the result of the base alone (maintainers)')
    add_cfg_options(parser)
    parser.add_argument('--json', type=result_file, metavar='FILE', help='write the table as JSON')
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    from eqssl.apps.demo import Demo, run
    from eqssl.utils.tables import write_json

    demo = Demo(args.method, args.data, args.seed, tuple(args.cfg_options))
    report = run(demo, args.train_base, args.store_base)
    if args.json:
        write_json(args.json, json.loads((report.parent / 'results.json').read_text()))
    return 0


if __name__ == '__main__':
    run_cli(main)
