"""mmpretrain's convolutional backbones on lists of size groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.structures import Tokens
from eqssl.utils import counters
from eqssl.utils.errors import UserError


class SizeGroups(nn.Module):
    """Mixed in front of a backbone that returns a tuple of maps ``[n, D, H, W]``; the last map is the feature."""

    def forward(
        self,
        groups: Sequence[Tensor] | Tensor,
        masks: Sequence[Tensor | None] | None = None,
        blocks: Sequence[int] = (),
    ) -> list[Tokens]:
        """All size groups of a step.

        Args:
            groups: one ``[n, 3, S, S]`` tensor per size (a single tensor counts as one group).
            masks: must be None or hold only None; a convolution cannot leave patches out.
            blocks: must be empty.

        Returns:
            one :class:`Tokens` per group: the pooled map and its positions in row-major order.
        """
        if blocks or any(m is not None for m in masks or ()):
            raise UserError(f'model.backbone {type(self).__name__} has neither masked patches nor blocks to read from')
        groups = [groups] if isinstance(groups, Tensor) else groups
        return [self.forward_one(images) for images in groups]

    def forward_one(self, images: Tensor) -> Tokens:
        """One size group."""
        counters.count('backbone_calls')
        last = _last(super().forward(images))
        return Tokens(cls=last.mean((2, 3)), patch=last.flatten(2).transpose(1, 2))


def _last(maps: Any) -> Any:
    return maps[-1] if isinstance(maps, (tuple, list)) else maps


def _width(backbone: Any, name: str) -> int:
    """Channels of the last map, found by a small forward pass."""
    device = next(backbone.parameters()).device
    training = backbone.training
    backbone.eval()  # mmpretrain's train() returns None
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 64, 64, device=device))
    backbone.train(training)
    last = _last(maps)
    if not isinstance(last, Tensor) or last.ndim != 4:
        raise UserError(
            f'model.backbone {name} returns no feature map [n, C, H, W]; use a convolutional backbone of mmpretrain '
            'or eqssl.VisionTransformer'
        )
    return last.shape[1]


def take_size_groups(backbone: Any) -> Any:
    """Make a backbone of mmpretrain take size groups, in place: its class gets :class:`SizeGroups` in front.

    Names of parameters and buffers stay as they are, so checkpoints fit the original class. Backbones of this project
    are returned as they are.
    """
    kind = type(backbone)
    if hasattr(backbone, 'embed_dims') and hasattr(backbone, 'forward_one'):
        return backbone
    backbone.embed_dims = _width(backbone, kind.__name__)
    backbone.__class__ = type(kind.__name__, (SizeGroups, kind), {'__module__': kind.__module__})
    return backbone
