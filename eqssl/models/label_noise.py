"""Controlled label noise (EffSSL, section 5)."""

from __future__ import annotations

import torch
from torch import Tensor


def wrong_labels(labels: Tensor, u: Tensor, rate: float, classes: int) -> Tensor:
    """Labels of which a share is replaced by another class.

    Args:
        labels: ``[n]`` in [0, classes).
        u: ``[n, 2]`` uniform numbers in [0, 1).
        rate: share of wrong labels.
        classes: number of classes, at least 2.
    """
    other = (labels + 1 + (u[:, 1] * (classes - 1)).long().clamp(max=classes - 2)) % classes
    return torch.where(u[:, 0] < rate, other, labels)
