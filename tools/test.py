"""Measure a fine-tuned model: ``python tools/test.py CONFIG CHECKPOINT [--work-dir DIR] [--json FILE]``.

For downstream configs (mmseg, mmdet, mmpretrain); frozen features of a pre-training are measured by tools/evaluate.py.
On several GPUs: ``torchrun --nproc_per_node=8 tools/test.py CONFIG CHECKPOINT --launcher pytorch``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eqssl.utils.errors import UserError, run_cli


def parse_args() -> argparse.Namespace:
    """The common flags, and those of a test."""
    from eqssl.utils.flags import path_text, result_file, run_parser

    parser = run_parser('Test a fine-tuned model.', 'the downstream config that it was trained with')
    parser.add_argument('checkpoint', type=path_text, help='of the fine-tuning (the whole model)')
    parser.add_argument('--json', type=result_file, metavar='FILE', help='write the metrics there')
    return parser.parse_args()


def main() -> None:
    """Test and print."""
    args = parse_args()
    from eqssl.apps.finetune import evaluate_downstream
    from eqssl.config.finetuning import is_downstream
    from eqssl.config.reader import read_config
    from eqssl.engine.work_dir import check_work_dir
    from eqssl.utils import dist
    from eqssl.utils.tables import write_json

    dist.adopt_launcher(args.launcher, args.local_rank)
    cfg = read_config(args.config, args.cfg_options)
    if not is_downstream(cfg):
        raise UserError(f"'{args.config}' is a pre-training config; python tools/evaluate.py measures its features")
    cfg.work_dir = args.work_dir or str(Path('work_dirs') / Path(args.config).stem)
    cfg.launcher = args.launcher
    check_work_dir(cfg.work_dir)
    metrics = evaluate_downstream(cfg, args)
    if args.json and dist.rank() == 0:
        write_json(args.json, metrics)
    dist.leave()


if __name__ == '__main__':
    run_cli(main)
