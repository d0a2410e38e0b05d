"""A lighter decoder that stays in token space and ends with one linear map of each token to its pixels."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.registry import MODELS
from eqssl.utils.errors import UserError


@MODELS.register_module()
class TokenDecoder(nn.Module):
    """Linear, pre-norm transformer blocks with learned positions, linear to the pixels of a token's patch.

    Args:
        in_channels: width of the concatenated equivariant features; None lets the task fill it in.
        grid: patches per side.
        image_size: side of the output.
        width, depth, heads: of the blocks; depth 0 is a purely linear decoder per patch.
        overlap: draw patches of twice the side, which are added where they overlap (a transposed convolution): no
            seams, and a smaller error where a feature map is coarse.

    Raises:
        UserError: a grid that does not divide the image, or an odd patch with overlap.
    """

    def __init__(
        self,
        in_channels: int,
        grid: int = 14,
        image_size: int = 224,
        width: int = 192,
        depth: int = 1,
        heads: int = 3,
        overlap: bool = False,
    ) -> None:
        super().__init__()
        if image_size % grid:
            raise UserError(f'image_size={image_size} is not a multiple of grid={grid}')
        self.grid, self.patch = grid, image_size // grid
        self.linear = nn.Linear(in_channels, width)
        self.position = nn.Parameter(torch.zeros(1, grid * grid, width))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, 'gelu', batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.overlap = overlap
        if overlap and self.patch % 2:
            raise UserError(f'overlap=True needs patches of even side, not {self.patch}')
        self.pixels: nn.Module
        if overlap:
            self.pixels = nn.ConvTranspose2d(width, 3, 2 * self.patch, self.patch, self.patch // 2)
        else:
            self.pixels = nn.Linear(width, 3 * self.patch**2)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, grid * grid, in_channels]`` to ``[B, 3, S, S]`` (normalized pixels)."""
        x = self.linear(tokens) + self.position
        for block in self.blocks:
            x = block(x)
        if self.overlap:
            return self.pixels(self.norm(x).transpose(1, 2).unflatten(2, (self.grid, self.grid)))
        x = self.pixels(self.norm(x)).unflatten(2, (3, self.patch, self.patch))
        x = x.unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(len(x), 3, self.grid * self.patch, self.grid * self.patch)
