"""What an auxiliary task is to the algorithm class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn as nn
from torch import Tensor

from eqssl.structures import Tokens, Views
from eqssl.utils.progress import Progress


@dataclass
class Step:
    """What a task sees of a step: the views, the student's tokens and their equivariant part.

    Attributes:
        views: all views.
        tokens: size group -> the student's tokens (of masked images, where the base method masks).
        equivariant: size group -> equivariant features ``[V * B, N, d_equi]``, computed when first asked for.
        embed: size group -> the base method's embeddings (of its invariant features) ``[V * B, E]``.
        encode: more normalized images ``[n, 3, S, S]`` -> the student's embeddings ``[n, E]``, in their own pass.
        target: the embeddings ``[V * B, E]`` of the head's group without gradient: the teacher's, or the student's own.
        progress: of the run.
    """

    views: Views
    tokens: dict[str, Tokens]
    equivariant: Callable[[str], Tensor]
    embed: Callable[[str], Tensor]
    encode: Callable[[Tensor], Tensor]
    target: Callable[[], Tensor]
    progress: Progress


@dataclass
class ModelInfo:
    """What a task may want to know when it is built.

    Attributes:
        embed_dims: width of the backbone.
        equi_dims: width of the equivariant part, None without a neck.
        embedding_dims: width of the base method's embedding.
        grid: patches per side of a global crop (ViT).
        image_size: side of a global crop (ViT).
        patch_size: side of a patch, 1 for convolutional backbones.
        normalize: images in [0, 1] to normalized ones.
        backbone: the student's.
    """

    embed_dims: int
    equi_dims: int | None
    embedding_dims: int
    grid: int
    image_size: int
    patch_size: int
    normalize: Callable[[Tensor], Tensor]
    backbone: Any


class AuxiliaryTask(nn.Module):
    """A loss beside the base method's. It runs at every step with static shapes.

    Attributes:
        needs_equivariant: whether it reads the equivariant part (a neck is then required).
        groups: size groups of the data that this task alone reads.
        changes_views: whether the base method's own views are changed; such tasks come after those that add views.
    """

    needs_equivariant: bool = False
    groups: tuple[str, ...] = ()
    changes_views: bool = False

    def setup(self, name: str, info: ModelInfo) -> None:
        """Build what depends on the model; ``name`` is the key under ``model.auxiliary``."""
        self.name = name

    def transform_views(self, views: Views) -> None:
        """Change or add views, in [0, 1], before normalization; write targets (normalized later) and parameters."""

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """The unweighted loss and monitored values, device scalars."""
        raise NotImplementedError
