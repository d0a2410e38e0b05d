"""Saliency maps of a supervised network (Grad-CAM) and crops that keep to what is salient (EffSSL, section 5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

MAP_SIDE = 16
TRIES = 10


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


def saliency_maps(model: Any, images: Tensor, labels: Tensor) -> np.ndarray:
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


def mean_in_box(saliency: np.ndarray, box: tuple[int, int, int, int], height: int, width: int) -> float:
    """Mean of a map over a box of the image, map cells counted by their covered share.

    Args:
        saliency: ``[h, w]``.
        box: x, y, width, height in pixels.
        height, width: of the image.
    """
    x, y, w, h = box
    rows = _cover(saliency.shape[0], y / height, (y + h) / height)
    columns = _cover(saliency.shape[1], x / width, (x + w) / width)
    return float(rows @ saliency @ columns / (rows.sum() * columns.sum()))


def _cover(cells: int, start: float, stop: float) -> np.ndarray:
    """Share of each of ``cells`` equal intervals of [0, 1] that [start, stop] covers."""
    edges = np.arange(cells + 1) / cells
    return np.clip(np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start), 0, None) * cells


def is_salient(saliency: np.ndarray, box: tuple[int, int, int, int], height: int, width: int) -> bool:
    """Whether a crop's mean saliency exceeds the image's (EffSSL's criterion)."""
    return mean_in_box(saliency, box, height, width) > float(saliency.mean())
