"""Strong augmentation on the device, each sample with its own draws: for pairs that a method finds too easy."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.augment.paths import warp
from eqssl.augment.photometric import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    apply_photometrics,
    solarize,
)
from eqssl.structures import Photometrics

OPERATIONS = (
    'identity', 'rotate', 'shear_x', 'shear_y', 'translate_x', 'translate_y', 'brightness', 'contrast', 'color',
    'posterize', 'solarize', 'sharpness',
)  # fmt: skip
CROP_DRAWS, PHOTO_DRAWS = 5, 9


def draws(rounds: int) -> int:
    """Uniform numbers that :func:`strong_views` takes per image."""
    return CROP_DRAWS + PHOTO_DRAWS + 2 * rounds


def random_crop(images: Tensor, u: Tensor, scale: tuple[float, float]) -> Tensor:
    """A random resized crop and flip, bilinear, to the same size.

    Args:
        images: ``[n, C, S, S]``.
        u: ``[n, 5]`` uniform numbers in [0, 1).
        scale: range of the crop's share of the area; aspect ratios log-uniform in [3/4, 4/3].
    """
    area = scale[0] + u[:, 0] * (scale[1] - scale[0])
    aspect = torch.exp((2 * u[:, 1] - 1) * math.log(4 / 3))
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = (2 * u[:, 2] - 1) * (1 - width), (2 * u[:, 3] - 1) * (1 - height)
    flip = torch.where(u[:, 4] < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(x)
    matrix = torch.stack([torch.stack([flip * width, zero, x], 1), torch.stack([zero, height, y], 1)], 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode='bilinear', padding_mode='border', align_corners=False)


def _shear(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    matrix = torch.stack([torch.stack([one, x, zero], 1), torch.stack([y, one, zero], 1)], 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode='zeros', align_corners=False)


def _sharpness(images: Tensor, factor: Tensor) -> Tensor:
    smooth = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode='replicate'), 3, 1)
    return (smooth + factor[:, None, None, None] * (images - smooth)).clamp(0, 1)


def _posterize(images: Tensor, strength: Tensor) -> Tensor:
    levels = (2 ** torch.round(8 - 4 * strength.abs()))[:, None, None, None]
    return torch.floor(images * 255 / 256 * levels) / (levels - 1).clamp(min=1)


def rand_augment(images: Tensor, u: Tensor, rounds: int, magnitude: float) -> Tensor:
    """``rounds`` operations drawn for each image, at a signed magnitude (after RandAugment, Cubuk et al. 2020).

    Auto-contrast and equalize, which need histograms, are left out.

    Args:
        images: ``[n, 3, S, S]`` in [0, 1].
        u: ``[n, 2 * rounds]`` uniform numbers in [0, 1): operation and sign of each round.
        rounds: n of the paper.
        magnitude: m of the paper, in [0, 10].
    """
    size, zero = images.shape[-1], torch.zeros(len(images), device=images.device)
    for number in range(rounds):
        choice = (u[:, 2 * number] * len(OPERATIONS)).long().clamp(max=len(OPERATIONS) - 1)
        m = torch.where(u[:, 2 * number + 1] < 0.5, -1.0, 1.0) * magnitude / 10
        shift = 0.45 * size * m
        results = [
            images,
            warp(images, m * math.radians(30), torch.stack([zero, zero], 1), 'zeros'),
            _shear(images, 0.3 * m, zero),
            _shear(images, zero, 0.3 * m),
            warp(images, zero, torch.stack([shift, zero], 1), 'zeros'),
            warp(images, zero, torch.stack([zero, shift], 1), 'zeros'),
            adjust_brightness(images, 1 + 0.9 * m),
            adjust_contrast(images, 1 + 0.9 * m),
            adjust_saturation(images, 1 + 0.9 * m),
            _posterize(images, m),
            solarize(images, torch.ones_like(m)),
            _sharpness(images, 1 + 0.9 * m),
        ]
        images = torch.stack(results)[choice, torch.arange(len(images), device=images.device)]
    return images


def strong_views(
    images: Tensor, u: Tensor, scale: tuple[float, float] = (0.08, 0.5), rounds: int = 2, magnitude: float = 9.0
) -> Tensor:
    """Small random crops, strong jitter (.8, .8, .8, .2), gray, blur, solarize, then RandAugment.

    Args:
        images: ``[n, 3, S, S]`` in [0, 1], not yet augmented photometrically.
        u: ``[n, draws(rounds)]`` uniform numbers in [0, 1).
        scale: of the crops.
        rounds, magnitude: of :func:`rand_augment`.
    """
    crops = random_crop(images, u[:, :CROP_DRAWS], scale)
    p = u[:, CROP_DRAWS : CROP_DRAWS + PHOTO_DRAWS]
    on = (p[:, 4] < 0.8).float()
    photo = Photometrics(
        brightness=1 + on * 0.8 * (2 * p[:, 0] - 1),
        contrast=1 + on * 0.8 * (2 * p[:, 1] - 1),
        saturation=1 + on * 0.8 * (2 * p[:, 2] - 1),
        hue=on * 0.2 * (2 * p[:, 3] - 1),
        gray=(p[:, 5] < 0.2).float(),
        sigma=(p[:, 6] < 0.5).float() * (0.1 + 1.9 * p[:, 7]) * images.shape[-1] / 224,
        solarize=(p[:, 8] < 0.2).float(),
    )
    crops = apply_photometrics(crops, torch.stack(photo, dim=1), 2.0 * images.shape[-1] / 224)
    return rand_augment(crops, u[:, CROP_DRAWS + PHOTO_DRAWS :], rounds, magnitude)
