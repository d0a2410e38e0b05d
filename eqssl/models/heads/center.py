"""Running centers of teacher outputs (DINO, section 3.1), right across ranks and under gradient accumulation."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.utils import dist
from eqssl.utils.precision import float32_island, precise


class Center(nn.Module):
    """center = m center + (1 - m) mean of the teacher's outputs since the last optimizer step.

    Outputs are summed when seen; the sum over ranks and the update come once, after a real optimizer step, so that
    accumulating two half batches gives what one whole batch gives, and a skipped step changes nothing. The loss uses
    the center from before, as the official code.

    Args:
        dim: width of the outputs.
        momentum: m.
    """

    center: Tensor
    pending: Tensor

    def __init__(self, dim: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer('center', torch.zeros(dim))
        self.register_buffer('pending', torch.zeros(dim + 1))  # sum of outputs, and how many

    @torch.no_grad()
    def add(self, outputs: Tensor, count: Tensor | None = None) -> None:
        """Add ``[n, dim]`` outputs; ``count`` ``[n]`` in {0, 1} leaves padding out."""
        with float32_island(outputs.device):
            outputs = precise(outputs)
            if count is None:
                self.pending[:-1] += outputs.sum(0)
                self.pending[-1] += len(outputs)
            else:
                self.pending[:-1] += torch.einsum('n,nd->d', count.to(outputs.dtype), outputs)
                self.pending[-1] += count.sum()


@torch.no_grad()
def update_centers(centers: list[Center], finite: Tensor | None) -> None:
    """Apply the pending sums of several centers with one all-reduce; a non-finite step leaves them as they are."""
    merged = dist.all_reduce_sum(torch.cat([c.pending for c in centers]))
    for center, pending in zip(centers, merged.split([len(c.pending) for c in centers]), strict=True):
        total, count = pending[:-1], pending[-1]
        new = center.momentum * center.center + (1 - center.momentum) * total / count.clamp(min=1)
        use = count > 0 if finite is None else (count > 0) & finite
        center.center.copy_(torch.where(use, new, center.center))
        center.pending.zero_()
