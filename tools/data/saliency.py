"""Grad-CAM saliency of every training image: ``python tools/data/saliency.py CONFIG CHECKPOINT --out saliency.npy``.

CONFIG trains an eqssl.SupervisedHead; the maps are those of each image's own class.
"""

from __future__ import annotations

import argparse
import sys

from eqssl.utils.errors import UserError, run_cli


def main() -> int:
    """Write the maps."""
    from eqssl.utils.flags import add_cfg_options, path_text

    parser = argparse.ArgumentParser(description='Grad-CAM saliency of every training image.')
    parser.add_argument('config', type=path_text)
    parser.add_argument('checkpoint', type=path_text)
    parser.add_argument('--out', type=path_text, required=True, help='.npy file, [n, 16, 16] uint8')
    parser.add_argument('--batch', type=int, default=256)
    add_cfg_options(parser)
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()
    import numpy as np
    import torch
    from rich.progress import track

    from eqssl.apps.evaluate import load_model
    from eqssl.apps.open_config import open_config
    from eqssl.evaluation.feature_store import eval_image
    from eqssl.models import SupervisedHead
    from eqssl.models.saliency import saliency_maps
    from eqssl.registry import DATASETS

    cfg = open_config(args.config, args.cfg_options)
    model = load_model(cfg, args.checkpoint)
    if not isinstance(model.head, SupervisedHead):
        raise UserError(f'{args.config} trains {type(model.head).__name__}; saliency needs an eqssl.SupervisedHead')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    size = dataset.views.specs[0].size
    maps = []
    for start in track(range(0, len(dataset), args.batch), 'saliency', disable=not sys.stderr.isatty()):
        indices = range(start, min(start + args.batch, len(dataset)))
        images = np.stack([eval_image(dataset.source.load(i), size, 1.0) for i in indices])
        labels = torch.tensor([dataset.source.label(i) for i in indices])
        tensor = model.data_preprocessor.images(torch.from_numpy(images)[None])
        maps.append(saliency_maps(model, tensor, labels.to(tensor.device)))
    np.save(args.out, np.concatenate(maps))
    print(f'{len(dataset)} maps in {args.out}')
    return 0


if __name__ == '__main__':
    run_cli(main)
