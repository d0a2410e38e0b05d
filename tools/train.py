"""Pre-train: ``python tools/train.py CONFIG [--work-dir DIR] [--resume [FILE]] [--amp] [--cfg-options k=v]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eqssl.utils.errors import run_cli


def parse_args() -> argparse.Namespace:
    """The common flags, and those of training."""
    from eqssl.utils.flags import path_text, run_parser

    parser = run_parser('Pre-train a model, or fine-tune one.')
    parser.add_argument(
        '--resume', nargs='?', const='auto', type=path_text, metavar='FILE',
        help='continue: from the newest valid checkpoint of the work dir, or from FILE',
    )  # fmt: skip
    parser.add_argument('--amp', action='store_true', help='train in 16 bits: bfloat16 (float16 in mmdet)')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale lr by batch size (auto_scale_lr)')
    parser.add_argument('--check', type=int, metavar='RANKS', help='only check config and data for so many ranks')
    return parser.parse_args()


def main() -> int:
    """Train; exit code 75 after a signal (saved, to be requeued)."""
    args = parse_args()
    from eqssl.apps.train import run_training
    from eqssl.utils import dist

    dist.adopt_launcher(args.launcher, args.local_rank)
    return run_training(args)


if __name__ == '__main__':
    run_cli(main)
