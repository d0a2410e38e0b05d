"""What an auxiliary task is to the algorithm class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn as nn
from torch import Tensor

from eqssl.structures import Tokens, Views


@dataclass
class Step:
    """What a task sees of a step: the views, the student's tokens and their equivariant part.

    Attributes:
        views: all views.
        tokens: size group -> the student's tokens (of masked images, where the base method masks).
        equivariant: size group -> equivariant features ``[V * B, N, d_equi]``, computed when first asked for.
    """

    views: Views
    tokens: dict[str, Tokens]
    equivariant: Callable[[str], Tensor]


@dataclass
class ModelInfo:
    """What a task may want to know when it is built: shapes of the model that it joins."""

    embed_dims: int
    equi_dims: int | None
    grid: int
    image_size: int


class AuxiliaryTask(nn.Module):
    """A loss beside the base method's. It runs at every step with static shapes.

    Attributes:
        needs_equivariant: whether it reads the equivariant part (a neck is then required).
    """

    needs_equivariant: bool = False

    def setup(self, name: str, info: ModelInfo) -> None:
        """Build what depends on the model; ``name`` is the key under ``model.auxiliary``."""
        self.name = name

    def transform_views(self, views: Views) -> None:
        """Change or add views, in [0, 1], before normalization; write targets (normalized later) and parameters."""

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """The unweighted loss and monitored values, device scalars."""
        raise NotImplementedError
