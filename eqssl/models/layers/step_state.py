"""State that moves once with every real optimizer step: centers, queues, prototypes of unit length."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.utils import dist


class StepState:
    """A mixin for modules whose state is neither a parameter's gradient step nor a function of one batch.

    In its forward passes such a module only gathers; what becomes of its state is said in :meth:`advance`, which
    :func:`commit_step` calls once after an optimizer step that was real. Accumulated passes, sums over ranks, and
    leaving everything as it was where the step was skipped (a gradient that is not finite) are seen to here: a new
    module is right about them without knowing of them. Live state belongs in buffers: a checkpoint has it.
    """

    def pending_sum(self) -> Tensor | None:
        """The buffer of sums that a step's passes gather, which is summed over ranks and zeroed; None for none."""
        return None

    def advance(self, total: Tensor | None) -> Iterable[tuple[Tensor, Tensor]]:
        """Live tensors with their next values; called without gradient, on every rank.

        Args:
            total: :meth:`pending_sum` over all ranks, in its shape.
        """
        raise NotImplementedError

    def commit(self, total: Tensor | None, finite: Tensor | None) -> None:
        """Write the next values where ``finite`` (a device bool; None is True)."""
        for live, new in self.advance(total):
            live.copy_(new if finite is None else torch.where(finite, new, live))
        pending = self.pending_sum()
        if pending is not None:
            pending.zero_()


@torch.no_grad()
def commit_step(model: nn.Module, finite: Tensor | None) -> None:
    """Move every :class:`StepState` of a model, with one all-reduce for all of them.

    Args:
        model: whose modules are looked through.
        finite: device bool, False where the step was skipped.
    """
    states = [module for module in model.modules() if isinstance(module, StepState)]
    pending = [sums for state in states if (sums := state.pending_sum()) is not None]
    totals = iter(())
    if pending:
        merged = dist.all_reduce_sum(torch.cat([sums.flatten() for sums in pending]))
        parts = merged.split([sums.numel() for sums in pending])
        totals = iter([part.view_as(sums).to(sums.dtype) for part, sums in zip(parts, pending, strict=True)])
    for state in states:
        state.commit(None if state.pending_sum() is None else next(totals), finite)
