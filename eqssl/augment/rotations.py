"""Rotations by a label: quarter turns exactly on the pixel grid, other angles bilinearly."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eqssl.augment.paths import warp


def rotate90(images: Tensor, turns: int) -> Tensor:
    """Counter-clockwise by ``turns`` quarter turns.

    Args:
        images: ``[n, C, S, S]``.
        turns: any integer; 0 returns the images.
    """
    return torch.rot90(images, turns, dims=(2, 3)) if turns % 4 else images


def rotate_by_label(images: Tensor, labels: Tensor, angles: int, padding: str = 'reflect') -> Tensor:
    """Each image by its label's angle, 360 degrees / ``angles`` times the label, counter-clockwise.

    Args:
        images: ``[n, C, S, S]`` in [0, 1].
        labels: ``[n]`` int64 in [0, angles).
        angles: size of the set; quarter turns are exact, label 0 is the identity.
        padding: what lies outside at angles between quarter turns: 'zeros', 'border' or 'reflect'.
    """
    degrees = labels * (360.0 / angles)
    quarters = torch.div(degrees, 90, rounding_mode='floor').long()
    turned = torch.stack([rotate90(images, turns) for turns in range(4)])
    turned = turned[quarters, torch.arange(len(images), device=images.device)]
    if (360 / angles) % 90 == 0:
        return turned
    rest = (degrees - 90.0 * quarters).to(torch.float32) * (math.pi / 180)
    return warp(turned, rest, torch.zeros(len(images), 2, device=images.device), padding)
