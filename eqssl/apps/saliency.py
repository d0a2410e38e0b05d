"""Grad-CAM saliency of every training image, from a supervised network (EffSSL's analysis)."""

from __future__ import annotations

import sys

import numpy as np
import torch
from rich.progress import track

from eqssl.apps.evaluate import load_model
from eqssl.apps.open_config import open_config
from eqssl.config.options import Options
from eqssl.evaluation.stream import eval_image
from eqssl.models import SupervisedHead
from eqssl.models.saliency import saliency_maps
from eqssl.registry import DATASETS, MODELS
from eqssl.utils.errors import UserError


def measure_saliency(config: str, checkpoint: str, options: Options | None = None, batch: int = 256) -> np.ndarray:
    """Maps of each image's own class, ``[n, 16, 16]`` uint8, in the order of the data set.

    Args:
        config: trains an ``eqssl.SupervisedHead``.
        checkpoint: of it.
        options: ``--cfg-options``.
        batch: images at once.

    Raises:
        UserError: another head, or a checkpoint that does not fit.
    """
    cfg = open_config(config, options)
    head = MODELS.get(cfg.model.head.type)
    if not issubclass(head, SupervisedHead):
        raise UserError(f'{config} trains {head.__name__}; saliency needs an eqssl.SupervisedHead')
    model = load_model(cfg, checkpoint)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    size = dataset.views.specs[0].size
    maps = []
    for start in track(range(0, len(dataset), batch), 'saliency', disable=not sys.stderr.isatty()):
        indices = range(start, min(start + batch, len(dataset)))
        images = np.stack([eval_image(dataset.source.load(i), size, 1.0) for i in indices])
        labels = torch.tensor([dataset.source.label(i) for i in indices])
        tensor = model.data_preprocessor.images(torch.from_numpy(images)[None])
        maps.append(saliency_maps(model, tensor, labels.to(tensor.device)))
    return np.concatenate(maps)
