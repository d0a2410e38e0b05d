"""Pre-train a model, or fine-tune one with mmpretrain, mmseg or mmdet."""

from __future__ import annotations

import argparse

from eqssl.utils.flags import add_run_arguments, path_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    add_run_arguments(parser)
    parser.add_argument(
        '--resume', nargs='?', const='auto', type=path_text, metavar='FILE',
        help='continue: from the newest valid checkpoint of the work dir, or from FILE',
    )  # fmt: skip
    parser.add_argument('--amp', action='store_true', help='train in 16 bits: bfloat16 (float16 in mmdet)')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale lr by batch size (auto_scale_lr)')
    parser.add_argument(
        '--try', type=int, dest='trial', metavar='N', help='only N iterations; says what all would take'
    )
    parser.add_argument('--check', type=int, metavar='RANKS', help='only check config and data for so many ranks')


def run(args: argparse.Namespace) -> int:
    """Train; exit code 75 after a signal (saved, to be requeued)."""
    from eqssl.apps.train import run_training
    from eqssl.utils import dist

    dist.adopt_launcher(args.launcher, args.local_rank)
    code = run_training(args)
    if args.launcher != 'none':
        dist.end_rank(code)
    return code
