"""Rotations by quarter turns, exact on the pixel grid."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate90(images: Tensor, turns: int) -> Tensor:
    """Counter-clockwise by ``turns`` quarter turns.

    Args:
        images: ``[n, C, S, S]``.
        turns: any integer; 0 returns the images.
    """
    return torch.rot90(images, turns, dims=(2, 3)) if turns % 4 else images
