"""Grad-CAM saliency of every training image, for ``train_dataloader.dataset.saliency``.

CONFIG trains an eqssl.SupervisedHead; the maps are those of each image's own class.
"""

from __future__ import annotations

import argparse

from eqssl.utils.flags import add_cfg_options, path_text, result_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('config', type=path_text)
    parser.add_argument('checkpoint', type=path_text)
    parser.add_argument('--out', type=result_file, required=True, help='.npy file, [n, 16, 16] uint8')
    parser.add_argument('--batch', type=int, default=256)
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> int:
    """Write the maps."""
    import numpy as np

    from eqssl.apps.saliency import measure_saliency

    maps = measure_saliency(args.config, args.checkpoint, args.cfg_options, args.batch)
    np.save(args.out, maps)
    print(f'{len(maps)} maps in {args.out}')
    return 0
