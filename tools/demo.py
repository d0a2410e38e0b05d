"""The demo: ``python tools/demo.py --data objects|cifar10 [--seed N] [--train-base]``; see ``make demo``."""

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
    parser.add_argument('--data', choices=['objects', 'cifar10'], default='objects')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train-base', action='store_true', help='train iBOT alone instead of its stored result')
    parser.add_argument('--store-base', action='store_true', help='store the result of iBOT alone (maintainers)')
    add_cfg_options(parser)
    parser.add_argument('--json', type=result_file, metavar='FILE', help='write the table as JSON')
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    from eqssl.demo import run
    from eqssl.utils.tables import write_json

    report = run(args.data, args.seed, args.train_base, args.store_base, args.cfg_options)
    if args.json:
        write_json(args.json, json.loads((report.parent / 'results.json').read_text()))
    return 0


if __name__ == '__main__':
    run_cli(main)
