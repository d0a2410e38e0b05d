"""Splits features along the feature dimension into an invariant and an equivariant part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn as nn
from torch import Tensor

from eqssl.models.necks.base import Neck
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from eqssl.models.heads.base import BaseHead


@MODELS.register_module()
class SplitNeck(Neck):
    """z = [z_inv (out_channels - equi_dims), z_equi (equi_dims)] (arXiv 2503.18753, section 3).

    Where z is split is not told by the paper (arXiv 2503.18753); ``split_at`` chooses:

    - ``'linear'`` (default): a linear layer on the backbone's tokens. With ``invariant='linear'`` it makes all
      ``out_channels`` columns and the base head sees the first ones (SimCLR- and VICReg-like bases). With
      ``invariant='head'`` it makes the ``equi_dims`` columns alone, and the invariant ones are the outputs of the base
      head itself, which sees the unchanged tokens (iBOT: 8192 = 6144 prototypes + 2048).
    - ``'head_logits'``: the last ``equi_dims`` outputs of the base head's last layer, for every patch token (behind
      its 256-wide L2-normalized bottleneck); the head's loss uses the first ones.
    - ``'backbone'``: the backbone's own features, first part invariant, last part equivariant (SIE).
    - ``'block:k'``: a linear layer on the normalized tokens of block k (0-based; SER); the head sees the last block.

    Args:
        in_channels: width of the backbone.
        out_channels: d_patch, width of z.
        equi_dims: d_equi.
        split_at: see above.
        invariant: 'head' or 'linear', for ``split_at='linear'``.

    Raises:
        UserError: more equivariant dimensions than the projection has, or options that do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 8192,
        equi_dims: int = 2048,
        split_at: str = 'linear',
        invariant: str = 'head',
    ) -> None:
        super().__init__()
        kind, _, block = split_at.partition(':')
        if kind not in ('linear', 'head_logits', 'backbone', 'block') or (kind == 'block') != block.isdigit():
            raise UserError(f"split_at='{split_at}' is none of 'linear', 'head_logits', 'backbone', 'block:<number>'")
        if invariant not in ('head', 'linear'):
            raise UserError(f"invariant='{invariant}' is neither 'head' nor 'linear'")
        if kind == 'backbone' and out_channels != in_channels:
            raise UserError(
                f"split_at='backbone' splits the backbone's {in_channels} features; set "
                f'out_channels={in_channels} (now {out_channels})'
            )
        if not 0 < equi_dims < out_channels:
            raise UserError(
                f'equi_dims={equi_dims} must be at least 1 and less than out_channels={out_channels}, '
                'the width of the projection that is split'
            )
        self.kind = kind
        self.blocks = (int(block),) if block else ()
        self.out_channels, self.equi_dims = out_channels, equi_dims
        self.inv_dims = out_channels - equi_dims
        self.head_makes_invariant = kind == 'head_logits' or (kind in ('linear', 'block') and invariant == 'head')
        self.takes_head_columns = kind == 'head_logits'
        if kind == 'linear' and self.head_makes_invariant:
            self.head_outputs = self.inv_dims
        if kind == 'block' and invariant == 'linear':
            raise UserError("split_at='block:k' takes invariant='head'")
        width = {'linear': equi_dims if invariant == 'head' else out_channels, 'block': equi_dims}.get(kind)
        self.projection = None if width is None else nn.Linear(in_channels, width)
        if self.projection is not None:
            self.in_channels = in_channels
            nn.init.trunc_normal_(self.projection.weight, std=0.02)
            nn.init.zeros_(self.projection.bias)

    def invariant(self, x: Tensor) -> Tensor:
        """See :class:`Neck`."""
        if self.head_makes_invariant:
            return x
        if self.kind == 'backbone':
            return x[..., : self.inv_dims]
        assert self.projection is not None
        return nn.functional.linear(x, self.projection.weight[: self.inv_dims], self.projection.bias[: self.inv_dims])

    def equivariant(self, patch: Tensor, blocks: dict[int, Tensor], head: BaseHead) -> Tensor:
        """See :class:`Neck`; the head is asked for its last columns where ``split_at='head_logits'``."""
        if self.kind == 'backbone':
            return patch[..., self.inv_dims :]
        if self.kind == 'head_logits':
            return head.equivariant_logits(patch, self.equi_dims)
        assert self.projection is not None
        if self.kind == 'block':
            return self.projection(blocks[self.blocks[0]])
        weight, bias = self.projection.weight, self.projection.bias
        return nn.functional.linear(patch, weight[-self.equi_dims :], bias[-self.equi_dims :])
