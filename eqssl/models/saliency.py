"""Saliency maps of a supervised network (Grad-CAM)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from eqssl.models.pretrainer import SSLPretrainer

MAP_SIDE = 16


def grad_cam(maps: Tensor, score: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017, eq. 1 and 2): ReLU of the maps weighted by their mean gradients.

    Args:
        maps: ``[n, D, H, W]`` features that ``score`` was computed from, with gradient.
        score: ``[n]`` logit of each image's class.

    Returns:
        ``[n, H, W]``, at least 0.
    """
    gradient = torch.autograd.grad(score.sum(), maps)[0]
    weight = gradient.mean((2, 3), keepdim=True)
    return (weight * maps).sum(1).clamp(min=0).detach()


def saliency_maps(model: SSLPretrainer, images: Tensor, labels: Tensor) -> np.ndarray:
    """Grad-CAM of a pretrainer with a convolutional backbone and a :class:`SupervisedHead`.

    Args:
        model: in eval mode, on the images' device.
        images: ``[n, 3, S, S]`` normalized.
        labels: ``[n]`` classes whose evidence is shown.

    Returns:
        ``[n, 16, 16]`` uint8, each map scaled to its maximum.
    """
    with torch.enable_grad():
        patch = model.backbone([images])[0].patch
        side = round(patch.shape[1] ** 0.5)
        maps = patch.transpose(1, 2).unflatten(2, (side, side)).detach().requires_grad_()
        logits = model.head.projector(maps.mean((2, 3)))
        cam = grad_cam(maps, logits.gather(1, labels[:, None])[:, 0])
    cam = torch.nn.functional.interpolate(cam[:, None], size=(MAP_SIDE, MAP_SIDE), mode='bilinear')[:, 0]
    cam = cam / cam.amax((1, 2), keepdim=True).clamp(min=1e-12)
    return (cam * 255).round().to(torch.uint8).cpu().numpy()
