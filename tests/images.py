"""Image files in memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tifffile
from PIL import Image


def encode(image: Image.Image, kind: str, **kw: Any) -> bytes:
    """A file of Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **kw)
    return buffer.getvalue()


def smooth(size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A smooth color image."""
    low = np.random.default_rng(0).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)


def tiff(array: np.ndarray, **kw: Any) -> bytes:
    """A file of tifffile's."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **kw)
    return buffer.getvalue()


def gray(values: np.ndarray) -> np.ndarray:
    """``[H, W]`` as the RGB integers that are nearest."""
    return np.repeat(np.rint(values)[..., None], 3, axis=2).astype(int)
