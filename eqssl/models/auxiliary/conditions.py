"""How one view follows from another, as numbers that a predictor is conditioned on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eqssl.structures import Photometrics, Views
from eqssl.utils.constants import constant

# Scale of each photometric difference: about the largest one with the usual strengths.
_PHOTO_SCALE = Photometrics(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, gray=1.0, sigma=2.0, solarize=1.0)
FIELDS = {'crop': 4, 'flip': 1, 'color': 4, 'gray': 1, 'blur': 1, 'solarize': 1}


def crop_difference(first: Tensor, second: Tensor) -> Tensor:
    """The second crop in the frame of the first: shift of the center in first sizes, log ratio of sizes.

    Args:
        first, second: ``[B, 5]`` boxes (x, y, width, height, flip) in source pixels.

    Returns:
        ``[B, 4]``.
    """
    size = first[:, 2:4]
    shift = (second[:, :2] + second[:, 2:4] / 2 - first[:, :2] - size / 2) / size
    return torch.cat([shift, torch.log(second[:, 2:4] / size)], dim=1)


def view_differences(views: Views, group: str, first: int, second: int, fields: tuple[str, ...]) -> Tensor:
    """Differences of the recorded parameters of two views of a group, about in [-1, 1].

    Args:
        views: with ``box/<group>`` and ``photo/<group>``.
        group: a size group of the data.
        first, second: numbers of the views.
        fields: names out of :data:`FIELDS`.

    Returns:
        ``[B, C]``, the fields in the given order.
    """
    box, photo = views.params[f'box/{group}'], views.params[f'photo/{group}']
    delta = Photometrics.of((photo[second] - photo[first]) / constant(_PHOTO_SCALE, photo.device))
    parts = {
        'crop': crop_difference(box[first], box[second]),
        'flip': (box[second, :, 4:] - box[first, :, 4:]),
        'color': torch.stack(delta.color, dim=1),
        'gray': delta.gray[:, None],
        'blur': delta.sigma[:, None],
        'solarize': delta.solarize[:, None],
    }
    return torch.cat([parts[name] for name in fields], dim=1)


def rotation_quaternion(angle: Tensor) -> Tensor:
    """Unit quaternion (x, y, z, w), w >= 0, of a turn about the viewing axis.

    Args:
        angle: ``[B]`` radians.

    Returns:
        ``[B, 4]``; the identity is (0, 0, 0, 1). q and -q are the same turn: the sign is fixed by w >= 0.
    """
    zero = torch.zeros_like(angle)
    return canonical(torch.stack([zero, zero, torch.sin(angle / 2), torch.cos(angle / 2)], dim=1))


def canonical(quaternion: Tensor) -> Tensor:
    """The one of q and -q whose last component that is not 0 is positive; ``[B, 4]``."""
    nonzero = quaternion.abs() > 1e-7
    last = nonzero.to(torch.float32) * torch.arange(1, 5, device=quaternion.device)
    sign = quaternion.gather(1, last.argmax(1, keepdim=True)).sign()
    return torch.where(sign < 0, -quaternion, quaternion)


def degrees_to_quaternion(theta: Tensor) -> Tensor:
    """First column of a path's parameters (degrees) as :func:`rotation_quaternion`."""
    return rotation_quaternion(theta[:, 0] * (math.pi / 180))
