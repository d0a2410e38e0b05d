"""Parametric paths g_theta: the one definition of a transformation, used for training targets and for probes.

A path maps uniform numbers to parameters theta ``[B, P]`` and applies any fraction of them: fraction 0 is the identity
exactly, fraction 1 is g_theta (arXiv 2503.18753, section 3: theta_k = k theta / (K + 1)). Ranges are the paper's
Table 2. Images are ``[B, C, H, W]`` float32 in [0, 1].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.augment.photometric import gaussian_blur, jitter
from eqssl.registry import TRANSFORMS
from eqssl.utils.constants import constant
from eqssl.utils.errors import UserError, at_key
from eqssl.utils.randomness import uniforms

PADDING = {'zeros': 'zeros', 'border': 'border', 'reflect': 'reflection'}


class TransformPath(ABC):
    """A path of transformations from the identity to g_theta.

    Attributes:
        names: one name per parameter.
        low, high: range of each parameter; probes scale targets with it.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def size(self) -> int:
        """Number of parameters P."""
        return len(self.names)

    def from_uniform(self, u: Tensor) -> Tensor:
        """Uniform numbers in [0, 1), ``[B, P]``, to parameters."""
        low, high = (constant(x, u.device) for x in (self.low, self.high))
        return low + u * (high - low)

    def sample(self, batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw theta ``[batch, P]`` from a generator (evaluation)."""
        return self.from_uniform(torch.rand(batch, self.size, generator=generator))

    def sample_from_keys(self, key: Tensor, stream: str) -> Tensor:
        """Draw theta ``[B, P]`` from sample keys ``[B]`` (training: a function of seed and position)."""
        return self.from_uniform(uniforms(key, stream, self.size))

    def scaled(self, theta: Tensor) -> Tensor:
        """Theta scaled to [-1, 1] by its range (regression targets)."""
        low, high = (constant(x, theta.device) for x in (self.low, self.high))
        return 2 * (theta - low) / (high - low) - 1

    @abstractmethod
    def _transform(self, images: Tensor, theta: Tensor, fraction: float) -> Tensor:
        """Apply ``fraction`` > 0 of theta."""

    def apply(self, images: Tensor, theta: Tensor, fraction: float = 1.0) -> Tensor:
        """Apply a fraction of theta.

        Args:
            images: ``[B, C, H, W]``.
            theta: ``[B, P]``.
            fraction: in [0, 1]; 0 returns the images exactly.

        Raises:
            ValueError: a fraction outside [0, 1] or a theta of another size.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f'fraction {fraction} is outside [0, 1]')
        if theta.shape != (images.shape[0], self.size):
            raise ValueError(f'theta has shape {tuple(theta.shape)}, expected {(images.shape[0], self.size)}')
        if fraction == 0:
            return images
        return self._transform(images, theta, fraction)


def _range(name: str, limit: float, minimum: float = 0.0, maximum: float = math.inf) -> float:
    if not minimum < limit <= maximum:
        raise UserError(f'{name}={limit} must lie in ({minimum}, {maximum}]')
    return float(limit)


def warp(images: Tensor, angle: Tensor, shift: Tensor, padding: str) -> Tensor:
    """Rotate about the center, then translate; bilinear.

    Args:
        images: ``[B, C, H, W]``.
        angle: ``[B]`` radians, counter-clockwise as seen on the screen.
        shift: ``[B, 2]`` in pixels of these images, x to the right, y down.
        padding: what lies outside: 'zeros', 'border' or 'reflect'.
    """
    height, width = images.shape[-2:]
    cos, sin = torch.cos(angle), torch.sin(angle)
    tx, ty = shift.unbind(1)
    # output pixel p takes input R^-1 (p - t); y points down, so a counter-clockwise turn is [[c, s], [-s, c]]
    dx, dy = -(cos * tx - sin * ty), -(sin * tx + cos * ty)
    row_x = torch.stack([cos, -sin * height / width, 2 * dx / width], 1)
    row_y = torch.stack([sin * width / height, cos, 2 * dy / height], 1)
    matrix = torch.stack([row_x, row_y], 1).to(images.dtype)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode='bilinear', padding_mode=PADDING[padding], align_corners=False)
    still = ((angle == 0) & (tx == 0) & (ty == 0))[:, None, None, None]
    return torch.where(still, images, moved)


class _Geometric(TransformPath):
    """Shared by rotation, translation and their composition.

    Shifts are given in pixels of a ``reference`` image side (the paper: 224) and scale with the image, so that one
    path means the same at every resolution.
    """

    def __init__(self, padding: str, reference: int) -> None:
        if padding not in PADDING:
            raise UserError(f"padding='{padding}' is none of {', '.join(PADDING)}")
        self.padding, self.reference = padding, reference

    def _warp(self, images: Tensor, degrees: Tensor, shift: Tensor) -> Tensor:
        size = constant((images.shape[-1], images.shape[-2]), images.device)
        return warp(images, torch.deg2rad(degrees), shift * (size / self.reference), self.padding)


@TRANSFORMS.register_module()
class Rotation(_Geometric):
    """Rotation by an angle in [-degrees, degrees], counter-clockwise.

    Args:
        degrees: largest angle, (0, 180].
        padding: 'zeros' (paper; its black corners leak the angle), 'border' or 'reflect'.
    """

    def __init__(self, degrees: float = 45.0, padding: str = 'zeros') -> None:
        super().__init__(padding, 224)
        limit = _range('degrees', degrees, maximum=180)
        self.names, self.low, self.high = ('angle',), (-limit,), (limit,)

    def _transform(self, images: Tensor, theta: Tensor, fraction: float) -> Tensor:
        degrees = fraction * theta[:, 0]
        return self._warp(images, degrees, torch.zeros(len(images), 2, device=images.device))


@TRANSFORMS.register_module()
class Translation(_Geometric):
    """Translation by (x, y), each in [-pixels, pixels] of an image of side ``reference``."""

    def __init__(self, pixels: float = 10.0, padding: str = 'zeros', reference: int = 224) -> None:
        super().__init__(padding, reference)
        limit = _range('pixels', pixels, maximum=reference)
        self.names, self.low, self.high = ('x', 'y'), (-limit, -limit), (limit, limit)

    def _transform(self, images: Tensor, theta: Tensor, fraction: float) -> Tensor:
        return self._warp(images, torch.zeros(len(images), device=images.device), fraction * theta)


@TRANSFORMS.register_module()
class SE2(_Geometric):
    """Rotation about the center, then translation (angle, x, y); ranges as :class:`Rotation`, :class:`Translation`."""

    def __init__(
        self, degrees: float = 45.0, pixels: float = 10.0, padding: str = 'zeros', reference: int = 224
    ) -> None:
        super().__init__(padding, reference)
        a, p = _range('degrees', degrees, maximum=180), _range('pixels', pixels, maximum=reference)
        self.names, self.low, self.high = ('angle', 'x', 'y'), (-a, -p, -p), (a, p, p)

    def _transform(self, images: Tensor, theta: Tensor, fraction: float) -> Tensor:
        return self._warp(images, fraction * theta[:, 0], fraction * theta[:, 1:])


@TRANSFORMS.register_module()
class Color(TransformPath):
    """Brightness, contrast and saturation factors 1 + delta and a hue shift, applied in this fixed order.

    Args:
        brightness, contrast, saturation: largest delta, (0, 1).
        hue: largest shift in turns, (0, 0.5].
    """

    def __init__(
        self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.1
    ) -> None:
        limits = [
            _range(n, v, maximum=1)
            for n, v in (('brightness', brightness), ('contrast', contrast), ('saturation', saturation))
        ]
        limits.append(_range('hue', hue, maximum=0.5))
        self.names = ('brightness', 'contrast', 'saturation', 'hue')
        self.high, self.low = tuple(limits), tuple(-x for x in limits)

    def _transform(self, images: Tensor, theta: Tensor, fraction: float) -> Tensor:
        scaled = fraction * theta
        brightness, contrast, saturation, hue = scaled.unbind(1)
        return jitter(images, 1 + brightness, 1 + contrast, 1 + saturation, hue)


@TRANSFORMS.register_module()
class Blur(TransformPath):
    """Gaussian blur, sigma in [low, high] pixels of an image of side ``reference``.

    At a fraction the sigma shrinks in proportion; below 0.1 (the paper's lower end) it is the identity.
    """

    minimum = 0.1

    def __init__(self, sigma: tuple[float, float] = (0.1, 2.0), reference: int | None = None) -> None:
        low, high = sigma
        if not 0 <= low < high:
            raise UserError(f'sigma={tuple(sigma)} is not a range of positive numbers')
        self.names, self.low, self.high = ('sigma',), (float(low),), (float(high),)
        self.reference = reference

    def _transform(self, images: Tensor, theta: Tensor, fraction: float) -> Tensor:
        scale = 1.0 if self.reference is None else images.shape[-1] / self.reference
        sigma = fraction * theta[:, 0]
        sigma = torch.where(sigma < self.minimum, torch.zeros_like(sigma), sigma) * scale
        return gaussian_blur(images, sigma, self.high[0] * scale)


@TRANSFORMS.register_module()
class Compose(TransformPath):
    """Several paths walked at once: at a fraction, each applies its own fraction, in the given order.

    Args:
        paths: configs of paths, or paths.
    """

    def __init__(self, paths: list[dict | TransformPath]) -> None:
        if not paths:
            raise UserError('Compose needs at least one path')
        self.paths: list[TransformPath] = [build_path(p) for p in paths]
        kinds = [type(p).__name__.lower() for p in self.paths]
        self.names = tuple(f'{k}.{n}' for k, p in zip(kinds, self.paths, strict=True) for n in p.names)
        self.low = tuple(x for p in self.paths for x in p.low)
        self.high = tuple(x for p in self.paths for x in p.high)

    def _transform(self, images: Tensor, theta: Tensor, fraction: float) -> Tensor:
        start = 0
        for path in self.paths:
            images = path.apply(images, theta[:, start : start + path.size], fraction)
            start += path.size
        return images


def build_path(path: dict | TransformPath) -> TransformPath:
    """A path from its config."""
    with at_key('path'):
        return TRANSFORMS.build(path) if isinstance(path, dict) else path
