"""What a pretrainer draws and attends to, as rows for :mod:`eqssl.visualization.pictures`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.models.auxiliary import IntermediateRecon
from eqssl.utils.modes import evaluating
from eqssl.visualization.pictures import pca_maps

if TYPE_CHECKING:
    from eqssl.models.pretrainer import SSLPretrainer
    from eqssl.structures import Views


@torch.no_grad()
def reconstruction_rows(
    model: SSLPretrainer, views: Views, originals: Tensor, count: int = 8
) -> tuple[list[str], list[Tensor]]:
    """Captions and rows: originals, v1, u, then each target with its reconstruction, v2.

    Args:
        model: a pretrainer with an IntermediateRecon task.
        views: one batch of views of it.
        originals: the images the views were cut from, ``[B, 3, H, W]`` in [0, 1].
        count: columns.
    """
    task = next(t for t in model.auxiliary.values() if isinstance(t, IntermediateRecon))
    with evaluating(model):
        found = task.reconstruct(model.encode(views))
    show = model.data_preprocessor.denormalize
    captions, rows = ['original', 'view v1'], [originals[:count], show(views.view('global', 0)[:count])]
    for k, target in enumerate(views.targets[task.name]):
        fraction = f'{k + 1}/{task.num_images + 1}'
        captions += [f'target u{k + 1} ({fraction} of the way)', f'reconstruction of u{k + 1}']
        rows += [show(target[:count]), show(found[k][:count])]
    captions.append('view v2 = g(u)')
    rows.append(show(views.view('global', 1)[:count]))
    return captions, rows


@torch.no_grad()
def pca_at_higher_resolution(model: SSLPretrainer, images: Tensor, factor: int, branch: str = 'teacher') -> Tensor:
    """PCA maps of enlarged images: ``factor`` times as many patches per side.

    Args:
        images: ``[n, 3, S, S]`` in [0, 1].
        factor: enlargement before the network; position embeddings are interpolated.
    """
    side = images.shape[-1] * factor
    big = F.interpolate(images, size=(side, side), mode='bicubic', align_corners=False).clamp(0, 1)
    with evaluating(model):
        tokens = model.predict(model.data_preprocessor.normalize(big), branch)['patch']
    return pca_maps(tokens, images.shape[-1] * 3)
