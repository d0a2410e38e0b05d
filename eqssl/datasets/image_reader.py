"""Decode one image file into RGB, exactly or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eqssl.datasets.readers import (
    MAX_PIXELS,
    Raster,
    UnreadableImage,
    read_jpeg,
    read_png,
    read_tiff,
    read_with_pillow,
    to_rgb,
)
from eqssl.datasets.readers import png as png_reader
from eqssl.datasets.readers import tiff as tiff_reader

__all__ = ['EXTENSIONS', 'MAX_PIXELS', 'UnreadableImage', 'decode', 'open_raster', 'read', 'read_bytes']
EXTENSIONS = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.bmp', '.gif', '.tif', '.tiff')


def _read(data: bytes, white: float | None) -> Raster:
    """By what the file begins with; its name says nothing, and no other decoder is asked."""
    if data[:2] == b'\xff\xd8':
        return read_jpeg(data)
    if data[:8] == png_reader.SIGNATURE:
        return read_png(data, white)
    if data[:4] in tiff_reader.SIGNATURES:
        return read_tiff(data, white)
    if data[:4] == b'RIFF' and data[8:12] == b'WEBP':
        return read_with_pillow(data, 'webp')
    if data[:2] == b'BM':
        return read_with_pillow(data, 'bmp')
    if data[:6] in (b'GIF87a', b'GIF89a'):
        return read_with_pillow(data, 'gif')
    raise UnreadableImage('empty file' if not data else 'no jpg, png, webp, bmp, gif or tif file')


def open_raster(data: bytes, white: float | None = None) -> Raster:
    """The samples of an image file; see :func:`decode`."""
    try:
        return _read(data, white)
    except UnreadableImage:
        raise
    except Exception as error:  # whatever a decoder raises at what it cannot read
        reason = ' '.join(str(error).split())[:200]
        plain = isinstance(error, (OSError, ValueError)) and reason
        raise UnreadableImage(reason if plain else f'{type(error).__name__}: {reason}') from error


def decode(data: bytes, white: float | None = None) -> np.ndarray:
    """Decode an image.

    Args:
        data: the bytes of a jpg, png, webp, bmp, gif or tif file; of an animation or of several pages the first counts.
        white: the value that is white in images of more than 8 bits (4095 for 12 bits in 16-bit files); None: the
            largest value of the samples' type (65535).

    Returns:
        ``[H, W, 3]`` uint8 RGB, upright (EXIF orientation applied), transparency laid over white.

    Raises:
        UnreadableImage: empty, truncated or corrupt file, not an image, too large, negative values, or floating point
            pixels without ``white``. A JPEG in whose picture the decoder only warns of lost data counts as corrupt; one
            whose header is odd but whose pixels are all there does not.
    """
    raster = open_raster(data, white)
    try:
        return to_rgb(raster)
    except MemoryError as error:
        raise UnreadableImage('not enough memory') from error


def read_bytes(path: str | Path) -> bytes:
    """A file's content; UnreadableImage where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImage(error.strerror or type(error).__name__) from error


def read(path: str | Path, white: float | None = None) -> np.ndarray:
    """Read and decode one file; see :func:`decode`."""
    return decode(read_bytes(path), white)
