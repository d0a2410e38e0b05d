"""ViTDet's simple feature pyramid: all levels from the last map of a plain ViT."""

from __future__ import annotations

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from eqssl.registry import MODELS
from eqssl.utils.errors import UserError

SCALES = (4.0, 2.0, 1.0, 0.5)


@MODELS.register_module()
class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of ``[B, C, H, W]``; also a ``norm_cfg`` type in mmdet's heads."""

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def resample(scale: float, channels: int) -> tuple[nn.Module, int]:
    """The module that changes a map's resolution, and its output channels."""
    if scale == 4.0:
        return nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 2, 2, stride=2),
            ChannelNorm(channels // 2, eps=1e-6),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 2, channels // 4, 2, stride=2),
        ), channels // 4
    if scale == 2.0:
        return nn.ConvTranspose2d(channels, channels // 2, 2, stride=2), channels // 2
    return (nn.Identity() if scale == 1.0 else nn.MaxPool2d(2)), channels


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Maps of strides 4, 8, 16, 32 (for patches of 16) from one map (Li et al. 2022, ViTDet, section 3 and figure 2).

    Transposed convolutions or pooling, then 1x1 and 3x3 convolutions with layer norms.

    Args:
        in_channels: width of the ViT.
        out_channels: of every level.
        num_outs: levels; the fifth is the fourth, subsampled (for the region proposals).
        init_cfg: mmengine's.
    """

    def __init__(
        self, in_channels: int, out_channels: int = 256, num_outs: int = 5, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        if num_outs not in (4, 5):
            raise UserError(f'model.neck.num_outs={num_outs} must be 4 or 5')
        if in_channels % 4:
            raise UserError(f'model.neck.in_channels={in_channels} must be a multiple of 4')
        self.num_outs = num_outs
        levels = []
        for scale in SCALES:
            change, channels = resample(scale, in_channels)
            levels.append(
                nn.Sequential(
                    change,
                    nn.Conv2d(channels, out_channels, 1, bias=False),
                    ChannelNorm(out_channels, eps=1e-6),
                    nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                    ChannelNorm(out_channels, eps=1e-6),
                )
            )
        self.levels = nn.ModuleList(levels)

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The last of the backbone's maps ``[B, C, h, w]`` to ``num_outs`` maps ``[B, out_channels, ., .]``."""
        outs = [level(maps[-1]).contiguous() for level in self.levels]  # mmcv's RoIAlign takes no strides into account
        if self.num_outs == 5:
            outs.append(F.max_pool2d(outs[-1], 1, stride=2))
        return tuple(outs)
