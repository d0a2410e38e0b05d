"""Samples as a file holds them, and their way to 8-bit RGB."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

MAX_PIXELS = 300_000_000  # a decompression bomb beyond this is refused before anything is decoded
_ORIENTATION = 0x0112
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


class UnreadableImage(Exception):
    """An image that cannot be trusted; the message says why."""


@dataclass
class Raster:
    """Decoded samples.

    Attributes:
        values: ``[H, W]`` gray or ``[H, W, 3]`` RGB; bool, integer or float.
        white: the value of white: the largest one of the type (1, 255, 4095, 65535, ...), or what was set for deep
            images; None for float samples without a setting.
        alpha: ``[H, W]`` opacity from 0 to ``white``, or None.
        premultiplied: whether ``values`` were multiplied by the opacity.
        orientation: as in EXIF, 1 to 8; 1 is upright.
        largest: of deep images (more than 8 bits per sample) the largest value in the file; None for others.
    """

    values: np.ndarray
    white: float | None = 255
    alpha: np.ndarray | None = None
    premultiplied: bool = False
    orientation: int = 1
    largest: float | None = None


def check_size(width: int, height: int) -> None:
    """Refuse an image that is too large, before it is decoded."""
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f'{width} x {height} pixels are more than {MAX_PIXELS}')


def orientation_of(exif: bytes | None, xmp: bytes | None = None) -> int:
    """Orientation, 1 to 8, of an EXIF block or else of XMP; 1 where they are damaged, say nothing or nonsense."""
    found: object = None
    if exif:
        with contextlib.suppress(Exception):  # metadata alone: the pixels are whole
            block = Image.Exif()
            block.load(exif)
            found = block.get(_ORIENTATION)
    if found is None and xmp and (match := _XMP_ORIENTATION.search(xmp)):
        found = int(match.group(1))
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror ``[H, W, ...]`` as an EXIF orientation says."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _check_values(values: np.ndarray) -> None:
    if values.dtype.kind in 'if' and values.size and not np.nanmin(values) >= 0:
        raise UnreadableImage(f'negative values ({values.dtype}) have no place between black and white')
    if values.dtype.kind == 'f' and not np.isfinite(values).all():
        raise UnreadableImage('pixels that are not finite')


@lru_cache(maxsize=8)
def _table(largest: int, white: float) -> np.ndarray:
    """8 bits for every value from 0 to ``largest``."""
    return np.rint(np.clip(np.arange(largest + 1) * (255 / white), 0, 255)).astype(np.uint8)


def _scale(values: np.ndarray, white: float) -> np.ndarray:
    """Samples to uint8; ``white`` and everything above it becomes 255."""
    if values.dtype == np.uint8 and white == 255:
        return values
    if values.dtype.kind == 'b':
        return values.view(np.uint8) * np.uint8(255)
    if values.dtype.kind in 'ui' and values.dtype.itemsize <= 2:
        return _table(int(np.iinfo(values.dtype).max), white)[values]
    return np.rint(np.clip(values.astype(np.float64) * (255 / white), 0, 255)).astype(np.uint8)


def _over_white(raster: Raster, white: float) -> np.ndarray:
    """Transparency laid over white, ``[H, W]`` or ``[H, W, 3]`` uint8."""
    assert raster.alpha is not None
    opacity = np.clip(raster.alpha.astype(np.float32) / white, 0, 1)
    opacity = opacity if raster.values.ndim == 2 else opacity[..., None]
    seen = np.clip(raster.values.astype(np.float32) / white, 0, 1)
    seen = seen if raster.premultiplied else seen * opacity
    return np.rint(255 * np.clip(seen + 1 - opacity, 0, 1)).astype(np.uint8)


def to_rgb(raster: Raster) -> np.ndarray:
    """8-bit RGB, upright, transparency laid over white (hidden color stays hidden).

    Returns:
        ``[H, W, 3]`` uint8.

    Raises:
        UnreadableImage: negative or non-finite samples, or floating point ones without a white.
    """
    if raster.white is None:
        raise UnreadableImage('floating point pixels have no defined white; set white in the source')
    _check_values(raster.values)
    opaque = raster.alpha is None or raster.alpha.min() >= raster.white
    pixels = _scale(raster.values, raster.white) if opaque else _over_white(raster, raster.white)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(upright(pixels, raster.orientation))
