"""Photometric operations on the device, batched, each sample with its own parameters.

Images are ``[B, 3, H, W]`` float32 in [0, 1]; parameters are ``[B]``. A neutral parameter returns the image exactly.
Brightness, contrast, saturation, hue, gray and solarize follow torchvision's definitions on float images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.structures import Photometrics

_GRAY = (0.2989, 0.587, 0.114)  # ITU-R 601-2 luma, as torchvision


def _column(parameter: Tensor) -> Tensor:
    return parameter.to(torch.float32)[:, None, None, None]


def grayscale(images: Tensor) -> Tensor:
    """Luma, ``[B, 1, H, W]``."""
    r, g, b = images.unbind(1)
    return (_GRAY[0] * r + _GRAY[1] * g + _GRAY[2] * b)[:, None]


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """``factor * images + (1 - factor) * other``, clamped; exactly ``images`` where the factor is 1."""
    f = _column(factor)
    return torch.where(f == 1, images, (f * images + (1 - f) * other).clamp(0, 1))


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Scale by ``factor`` (>= 0)."""
    return _blend(images, torch.zeros_like(images), factor)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image's mean luma."""
    return _blend(images, grayscale(images).mean(dim=(2, 3), keepdim=True).expand_as(images), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image's luma."""
    return _blend(images, grayscale(images).expand_as(images), factor)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by ``shift`` turns (in [-0.5, 0.5]) in HSV."""
    r, g, b = images.unbind(1)
    maximum, minimum = images.amax(1), images.amin(1)
    chroma = maximum - minimum
    gray = chroma == 0
    divisor = torch.where(gray, torch.ones_like(chroma), chroma)
    rc, gc, bc = (maximum - r) / divisor, (maximum - g) / divisor, (maximum - b) / divisor
    red, green = maximum == r, (maximum == g) & (maximum != r)
    hue = torch.where(red, bc - gc, torch.where(green, 2 + rc - bc, 4 + gc - rc)) / 6
    hue = torch.remainder(hue + shift.to(torch.float32)[:, None, None], 1.0)
    saturation = chroma / torch.where(gray, torch.ones_like(maximum), maximum)
    # HSV to RGB without a table: channel n is V - V S max(0, min(k, 4 - k, 1)), k = (n + 6 h) mod 6
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = torch.remainder(n + 6 * hue, 6.0)
        channels.append(maximum - maximum * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.where(_column(shift) == 0, images, torch.stack(channels, 1))


def to_gray(images: Tensor, flag: Tensor) -> Tensor:
    """Replace by luma where ``flag`` is set."""
    return torch.where(_column(flag) > 0, grayscale(images).expand_as(images), images)


def solarize(images: Tensor, flag: Tensor, threshold: float = 0.5) -> Tensor:
    """Invert pixels at or above the threshold where ``flag`` is set."""
    return torch.where((_column(flag) > 0) & (images >= threshold), 1 - images, images)


def gaussian_blur(images: Tensor, sigma: Tensor, max_sigma: float = 2.0) -> Tensor:
    """Separable Gaussian blur with a sigma per image, reflected at the border.

    Args:
        images: ``[B, C, H, W]``.
        sigma: ``[B]`` in pixels; 0 returns the image exactly.
        max_sigma: static upper bound of sigma, it fixes the kernel's radius at ``ceil(3 max_sigma)``.
    """
    batch, channels, height, width = images.shape
    radius = min(max(1, int(3 * max_sigma + 0.999)), height - 1, width - 1)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=torch.float32)
    safe = torch.where(sigma > 0, sigma, torch.ones_like(sigma)).to(torch.float32)
    kernel = torch.exp(-0.5 * (offsets[None] / safe[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    weight = kernel.repeat_interleave(channels, 0)[:, None]  # one row per image and channel
    flat = images.reshape(1, batch * channels, height, width)
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), mode='reflect'), weight[:, :, None], groups=batch * channels)
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), mode='reflect'), weight[..., None], groups=batch * channels)
    return torch.where(_column(sigma) > 0, flat.reshape(images.shape), images)


def jitter(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Brightness, contrast, saturation, hue in this fixed order.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
        brightness, contrast, saturation: factors, ``[B]``.
        hue: shift in turns, ``[B]``.
    """
    images = adjust_brightness(images, brightness)
    images = adjust_contrast(images, contrast)
    images = adjust_saturation(images, saturation)
    return adjust_hue(images, hue)


def apply_photometrics(images: Tensor, photo: Tensor, max_sigma: float = 2.0) -> Tensor:
    """The whole photometric pipeline: jitter, gray, blur, solarize.

    Args:
        images: ``[B, 3, H, W]`` float32 in [0, 1].
        photo: ``[B, 7]``, the columns of :class:`eqssl.structures.Photometrics`.
    """
    values = Photometrics.of(photo)
    images = to_gray(jitter(images, *values.color), values.gray)
    return solarize(gaussian_blur(images, values.sigma, max_sigma), values.solarize)
