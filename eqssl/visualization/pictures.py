"""Pictures from arrays."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor


def to_uint8(images: Tensor) -> np.ndarray:
    """``[n, 3, H, W]`` in [0, 1] to ``[n, H, W, 3]`` uint8."""
    return (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def enlarge(images: Tensor, side: int) -> Tensor:
    """Nearest-neighbor enlargement to at least ``side`` pixels, so that small images stay honest."""
    factor = max(1, round(side / images.shape[-1]))
    return images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def montage(rows: list[Tensor], side: int = 96, gap: int = 4) -> np.ndarray:
    """Rows of ``[n, 3, h, w]`` images on white, ``[H, W, 3]`` uint8; smaller images are enlarged to one size."""
    cell = max(side, *(row.shape[-1] for row in rows))
    lines = []
    for row in rows:
        big = F.interpolate(enlarge(row, cell), size=(cell, cell), mode='nearest')
        padded = F.pad(big, (gap, gap, gap, gap), value=1.0)
        lines.append(torch.cat(list(padded), dim=2))
    return to_uint8(torch.cat(lines, dim=1)[None])[0]


def with_captions(captions: list[str], pictures: list[np.ndarray], width: int = 210) -> np.ndarray:
    """Pictures below each other, each with its caption on the left, ``[H, W, 3]`` uint8."""
    font = ImageFont.load_default(15)
    lines = []
    for caption, picture in zip(captions, pictures, strict=True):
        label = Image.new('RGB', (width, picture.shape[0]), 'white')
        ImageDraw.Draw(label).text((8, picture.shape[0] // 2 - 9), caption, fill=(45, 55, 72), font=font)
        lines.append(np.concatenate([np.asarray(label), picture], axis=1))
    return np.concatenate(lines)


@torch.no_grad()
def pca_maps(tokens: Tensor, side: int) -> Tensor:
    """The first three principal components of patch tokens as colors.

    Args:
        tokens: ``[n, N, D]``.
        side: of the maps.

    Returns:
        ``[n, 3, side, side]`` in [0, 1].
    """
    flat = tokens.flatten(0, 1).double()
    flat = flat - flat.mean(0)
    _, _, basis = torch.linalg.svd(flat, full_matrices=False)
    colors = flat @ basis[:3].T
    low, high = torch.quantile(colors, 0.02, dim=0), torch.quantile(colors, 0.98, dim=0)
    colors = ((colors - low) / (high - low).clamp(min=1e-9)).clamp(0, 1).float()
    grid = round(tokens.shape[1] ** 0.5)
    maps = colors.unflatten(0, tokens.shape[:2]).transpose(1, 2).unflatten(2, (grid, grid))
    return F.interpolate(maps, size=(side, side), mode='bilinear', align_corners=False)
