"""Measure a fine-tuned model by its library's own metrics.

For downstream configs (mmseg, mmdet, mmpretrain); frozen features of a pre-training are measured by ``evaluate``.
On several GPUs: ``torchrun --nproc_per_node=8 -m eqssl test CONFIG CHECKPOINT --launcher pytorch``.
"""

from __future__ import annotations

import argparse

from eqssl.utils.flags import add_run_arguments, path_text, result_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    add_run_arguments(parser, 'the downstream config that it was trained with')
    parser.add_argument('checkpoint', type=path_text, help='of the fine-tuning (the whole model)')
    parser.add_argument('--json', type=result_file, metavar='FILE', help='write the metrics there')


def run(args: argparse.Namespace) -> int:
    """Test and print."""
    from eqssl.apps.finetune import run_test
    from eqssl.utils import dist
    from eqssl.utils.tables import write_json

    dist.adopt_launcher(args.launcher, args.local_rank)
    found = run_test(args)
    if args.json and dist.rank() == 0:
        write_json(args.json, {'experiment': found.to_json()['experiment'], **found.values})
    dist.leave()
    if args.launcher != 'none':
        dist.end_rank(0)
    return 0
