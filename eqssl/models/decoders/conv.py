"""The paper's decoder: one linear layer and four convolutions (arXiv 2503.18753, section 3)."""

from __future__ import annotations

import math

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from eqssl.registry import MODELS
from eqssl.utils.errors import UserError


def stage_sizes(grid: int, image_size: int, stages: int = 4) -> list[int]:
    """Side of the map at each convolution: doubling as late as possible, or a geometric series for odd patch sizes."""
    ratio = image_size / grid
    doublings = round(math.log2(ratio))
    if ratio == 2**doublings and doublings <= stages:
        return [grid * 2 ** max(0, doublings - (stages - 1 - i)) for i in range(stages)]
    return [round(grid * ratio ** ((i + 1) / stages)) for i in range(stages)]


@MODELS.register_module()
class ReconDecoder(nn.Module):
    """Patch features to an image: Linear, then four times (bilinear upsampling, 3x3 convolution), GroupNorm and GELU
    between. Widths are not told by the paper.

    Args:
        in_channels: width of the concatenated equivariant features; None lets the task fill it in.
        grid: patches per side.
        image_size: side of the output.
        width: after the linear layer.
        channels: of the first three convolutions.
        groups: of the norms; None for none (a group norm takes an image's color and contrast out of the features: small
            decoders then draw in gray).

    Raises:
        UserError: not three channels, or one that the groups do not divide.
    """

    def __init__(
        self,
        in_channels: int,
        grid: int = 14,
        image_size: int = 224,
        width: int = 256,
        channels: tuple[int, int, int] = (128, 64, 32),
        groups: int | None = 8,
    ) -> None:
        super().__init__()
        if len(channels) != 3:
            raise UserError(f'channels={tuple(channels)} must be three widths (the fourth convolution draws)')
        if groups is not None and any(c % groups for c in channels):
            raise UserError(f'channels={tuple(channels)} must be multiples of groups={groups}')
        self.grid = grid
        self.sizes = stage_sizes(grid, image_size)
        self.linear = nn.Linear(in_channels, width)
        widths = [width, *channels]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths, [*channels, 3], strict=True))
        self.norms = nn.ModuleList(nn.Identity() if groups is None else nn.GroupNorm(groups, c) for c in channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, grid * grid, in_channels]`` to ``[B, 3, S, S]`` (normalized pixels)."""
        x = self.linear(tokens).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        for i, conv in enumerate(self.convs):
            if x.shape[-1] != self.sizes[i]:
                x = F.interpolate(x, size=(self.sizes[i], self.sizes[i]), mode='bilinear', align_corners=False)
            x = conv(x)
            if i < len(self.norms):
                x = F.gelu(self.norms[i](x))
        return x
