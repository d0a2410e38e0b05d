"""Signs of health and of collapse, as device scalars without gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.utils.precision import precise


@torch.no_grad()
def spread(features: Tensor) -> Tensor:
    """Std of L2-normalized features ``[n, D]``, mean over dimensions, times sqrt(D): 1 spread out, 0 collapsed."""
    normalized = F.normalize(precise(features), dim=-1)
    return normalized.std(0, correction=0).mean() * normalized.shape[1] ** 0.5


@torch.no_grad()
def cosine_agreement(first: Tensor, second: Tensor) -> Tensor:
    """Mean cosine of rows ``[B, D]``."""
    return F.cosine_similarity(precise(first), precise(second), dim=-1).mean()


def agreement_and_spread(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Monitors of two views' embeddings ``[B, D]``."""
    return {'agreement': cosine_agreement(first, second), 'embedding_std': spread(first)}


@torch.no_grad()
def prototype_monitors(student: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """How prototypes are used.

    Args:
        student: logits ``[V, B, K]``.
        targets: probabilities ``[G, B, K]``.

    Returns:
        ``teacher_entropy`` of single targets (0 sharp, log K uniform), ``prototype_entropy`` of their mean (near 0: one
        prototype for all), ``agreement``: share of images whose second view picks the first view's target.
    """
    mean = targets.flatten(0, 1).mean(0)
    return {
        'teacher_entropy': -(targets * targets.clamp(min=1e-12).log()).sum(-1).mean(),
        'prototype_entropy': -(mean * mean.clamp(min=1e-12).log()).sum(),
        'agreement': (student[1].argmax(-1) == targets[0].argmax(-1)).float().mean(),
    }


@torch.no_grad()
def rankme(features: Tensor) -> float:
    """Effective rank exp(entropy of normalized singular values) (Garrido et al., ICML 2023, eq. 1).

    Compares runs of one method and drops within a run; at most min(n, D). It reads the device.

    Args:
        features: ``[n, D]``.
    """
    values = torch.linalg.svdvals(features.double())
    p = values / values.sum().clamp(min=1e-12) + 1e-7
    return float(torch.exp(-(p * p.log()).sum()))
