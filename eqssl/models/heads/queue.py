"""A queue of embeddings of former steps, the same on every rank."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.models.layers import StepState
from eqssl.utils import dist


class FeatureQueue(StepState, nn.Module):
    """First in, first out, of the embeddings of all ranks.

    Every rank holds all of it (so one rank's checkpoint restores it for any number of ranks) and computes with its own
    part. Embeddings wait until the optimizer step is known to be real; accumulated half batches enter together.

    Args:
        length: embeddings per view, a multiple of the number of ranks.
        width: of an embedding.
        views: embeddings of an image.
    """

    rows: Tensor
    filled: Tensor

    def __init__(self, length: int, width: int, views: int = 2) -> None:
        super().__init__()
        self.length = length
        self.register_buffer('rows', torch.zeros(views, length, width))
        self.register_buffer('filled', torch.zeros((), dtype=torch.int64))
        self._waiting: list[Tensor] = []

    def own_part(self) -> tuple[Tensor, Tensor]:
        """This rank's share.

        Returns:
            ``[V, L / W, E]`` embeddings and ``[L / W]`` weights: 1 where the queue is full, else 0 everywhere.
        """
        share = self.length // dist.world_size()
        start = dist.rank() * share
        full = (self.filled >= self.length).float()
        return self.rows[:, start : start + share], full.expand(share)

    def push(self, embeddings: Tensor) -> None:
        """Let ``[V, B, E]`` wait for the end of the step."""
        self._waiting.append(embeddings.to(self.rows.dtype))

    def advance(self, total: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """All that waits on any rank goes in front."""
        if not self._waiting:
            return []
        local = torch.cat(self._waiting, dim=1).transpose(0, 1)
        self._waiting = []
        ranks = dist.gather(local).unflatten(0, (dist.world_size(), -1))
        new = ranks.transpose(0, 1).flatten(0, 1).transpose(0, 1)  # in the order of one rank with the whole batch
        rows = torch.cat([new, self.rows], dim=1)[:, : self.length]
        return [(self.rows, rows), (self.filled, (self.filled + new.shape[1]).clamp(max=self.length))]
