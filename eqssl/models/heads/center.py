"""Running centers of teacher outputs (DINO, section 3.1), right across ranks and under gradient accumulation."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.models.layers import StepState
from eqssl.utils.precision import float32_island, precise


class Center(StepState, nn.Module):
    """center = m center + (1 - m) mean of the teacher's outputs since the last optimizer step.

    Outputs are summed when seen; accumulating two half batches gives what one whole batch gives. The loss uses the
    center from before, as the official code.

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

    def pending_sum(self) -> Tensor:
        """The outputs' sum and their number."""
        return self.pending

    def advance(self, total: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """Towards the mean of the outputs; not without any."""
        assert total is not None
        outputs, count = total[:-1], total[-1]
        new = self.momentum * self.center + (1 - self.momentum) * outputs / count.clamp(min=1)
        return [(self.center, torch.where(count > 0, new, self.center))]
