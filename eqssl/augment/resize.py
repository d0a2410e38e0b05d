"""Smaller views on the device."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resized(images: Tensor, size: int) -> Tensor:
    """``[n, C, S, S]`` to ``[n, C, size, size]``, antialiased; the images themselves where nothing changes."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode='bilinear', antialias=True, align_corners=False)
