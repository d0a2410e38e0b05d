"""What a neck is to the algorithm class: it splits features into an invariant and an equivariant part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn as nn
from torch import Tensor

if TYPE_CHECKING:
    from eqssl.models.heads.base import BaseHead


class Neck(nn.Module):
    """Between backbone and base head: the head sees :meth:`invariant`, auxiliary tasks :meth:`equivariant`.

    Subclasses set the attributes and write both methods. A teacher has a copy of a neck whose invariant part its head
    sees.

    Attributes:
        equi_dims: width of the equivariant part.
        inv_dims: width of the invariant part.
        in_channels: width of the backbone that it was made for; None where any will do.
        blocks: earlier blocks whose tokens the backbone must return (ViT).
        head_makes_invariant: the base head sees the backbone's own features, and its output is the invariant part.
        head_outputs: then, how many prototypes the head must have; None for any number.
        takes_head_columns: the equivariant part is the head's last ``equi_dims`` outputs.
    """

    equi_dims: int
    inv_dims: int
    in_channels: int | None = None
    blocks: tuple[int, ...] = ()
    head_makes_invariant: bool = False
    head_outputs: int | None = None
    takes_head_columns: bool = False

    @property
    def head_input_channels(self) -> int | None:
        """Width that the base head sees, None where it is the backbone's own."""
        return None if self.head_makes_invariant else self.inv_dims

    def invariant(self, x: Tensor) -> Tensor:
        """Features ``[..., D]`` as the base head sees them, ``[..., head_input_channels or D]``."""
        raise NotImplementedError

    def equivariant(self, patch: Tensor, blocks: dict[int, Tensor], head: BaseHead) -> Tensor:
        """Equivariant part of patch tokens.

        Args:
            patch: ``[n, N, D]`` tokens of the last block.
            blocks: tokens of earlier blocks, ``[n, N, D]`` each, by their numbers in :attr:`blocks`.
            head: the base head.

        Returns:
            ``[n, N, equi_dims]``.
        """
        raise NotImplementedError
