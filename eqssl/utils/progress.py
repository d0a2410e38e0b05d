"""Where a run stands, and values that are functions of it: resume needs no hidden state."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Place in the run.

    Attributes:
        iter: iterations done before this one.
        max_iters: of the whole run.
        iters_per_epoch: for schedules given in epochs.
    """

    iter: int = 0
    max_iters: int = 1
    iters_per_epoch: float = 1

    @property
    def fraction(self) -> float:
        """Share of the run that is done, [0, 1]."""
        return min(1.0, self.iter / max(1, self.max_iters))

    @property
    def epoch(self) -> float:
        """Epochs done."""
        return self.iter / self.iters_per_epoch


def cosine(start: float, end: float, fraction: float) -> float:
    """Half a cosine from ``start`` (fraction 0) to ``end`` (fraction 1)."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(1.0, max(0.0, fraction))))
