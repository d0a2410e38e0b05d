"""Sinkhorn-Knopp: assignments that share the samples of all ranks out evenly over the prototypes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eqssl.utils import dist
from eqssl.utils.precision import float32_island, precise

_TINY = torch.finfo(torch.float32).tiny


@torch.no_grad()
def sinkhorn(
    logits: Sequence[Tensor],
    temperatures: Sequence[float],
    iterations: int = 3,
    weights: Sequence[Tensor | None] | None = None,
) -> list[Tensor]:
    """Soft assignments of several groups, each normalized for itself (SwAV, Caron et al. 2020, eq. 3; DINOv2).

    Every iteration scales the prototypes to equal mass over the samples of all ranks, then every sample to mass 1. The
    sums of all groups travel in one all-reduce per iteration, unconditionally, so that any split of the batch over
    ranks gives the same assignments. The constants 1/K and 1/B of the usual notation cancel and are left out.

    Args:
        logits: per group ``[n, K]`` of this rank (K may differ between groups).
        temperatures: per group, epsilon of the entropy regularization.
        iterations: at least 1.
        weights: per group ``[n]``; 0 leaves a row out of the sums (padding, empty queue places); None is 1.

    Returns:
        per group ``[n, K]`` float32; rows sum to 1.
    """
    with float32_island(logits[0].device):
        return _sinkhorn(logits, temperatures, iterations, weights or [None] * len(logits))


def _sinkhorn(
    logits: Sequence[Tensor], temperatures: Sequence[float], iterations: int, weights: Sequence[Tensor | None]
) -> list[Tensor]:
    scores = [precise(x) / t for x, t in zip(logits, temperatures, strict=True)]
    largest = dist.all_reduce_max(torch.stack([s.max() for s in scores]))  # one constant per group cancels
    plans = [(s - top).exp() for s, top in zip(scores, largest.unbind(), strict=True)]
    sizes = [q.shape[1] for q in plans]
    for _ in range(iterations):
        mass = [
            q.sum(0) if w is None else torch.einsum('n,nk->k', w.to(q.dtype), q)
            for q, w in zip(plans, weights, strict=True)
        ]
        totals = dist.all_reduce_sum(torch.cat(mass)).clamp(min=_TINY).split(sizes)
        plans = [q / total for q, total in zip(plans, totals, strict=True)]
        plans = [q / q.sum(1, keepdim=True).clamp(min=_TINY) for q in plans]
    return plans
