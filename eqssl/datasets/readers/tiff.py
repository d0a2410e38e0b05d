"""TIFF in its many layouts: depth, planes, inks, palettes; what has no meaning as a picture is refused.

tifffile decodes (Pillow scrambles separate planes of 16 bits, reads 12 bits as 8 and wraps signed values); this file
says what its numbers mean.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC

from eqssl.datasets.readers.jpeg import check_scan
from eqssl.datasets.readers.raster import Raster, UnreadableImage, check_size

SIGNATURES = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_AXES = ('YX', 'YXS', 'SYX')
_JPEG = (COMPRESSION.JPEG, COMPRESSION.JPEG_2000_LOSSY, COMPRESSION.OJPEG)
_GRAY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE)


@contextmanager
def _silent() -> Iterator[None]:
    """tifffile logs what it passes over; what matters is checked here."""
    logger = tifffile.logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_segments(page: Any, data: bytes) -> None:
    """Every strip or tile lies in the file (tifffile fills missing ones with zeros), and JPEG ones are whole."""
    offsets, counts = page.dataoffsets, page.databytecounts
    expected = int(np.prod(page.chunked))
    contiguous = len(offsets) == len(counts) == 1
    if len(offsets) != len(counts) or (len(offsets) != expected and not contiguous):
        raise UnreadableImage(f'{len(offsets)} strips or tiles instead of {expected}')
    for offset, count in zip(offsets, counts, strict=True):
        if offset <= 0 or count <= 0 or offset + count > len(data):
            raise UnreadableImage('a strip or tile lies outside the file')
    if page.compression == COMPRESSION.JPEG and page.bitspersample == 8:
        tables = page.jpegtables
        for offset, count in zip(offsets, counts, strict=True):
            part = data[offset : offset + count]
            check_scan(tables[:-2] + part[2:] if tables else part)


def _through_palette(page: Any, values: np.ndarray) -> Raster:
    """Palette numbers to RGB; entries are 16 bits, but some writers fill in 8."""
    if page.colormap is None or values.ndim != 2:
        raise UnreadableImage('a palette image without its palette')
    colors = np.moveaxis(np.asarray(page.colormap), 0, -1)
    if values.max() >= len(colors):
        raise UnreadableImage('a value beyond the palette')
    return Raster(colors[values], 65535 if colors.max() > 255 else 255)


def _from_inks(values: np.ndarray, white: int) -> np.ndarray:
    """CMYK ``[H, W, 4]`` to RGB of the same scale, without a profile: (1 - C)(1 - K)."""
    inks = values.astype(np.float64) / white
    return np.rint((1 - inks[..., :3]) * (1 - inks[..., 3:]) * white).astype(values.dtype)


def _white(page: Any, values: np.ndarray) -> int | None:
    """The largest value of the samples' type, by the bits that they really have."""
    if values.dtype.kind == 'f':
        return None
    if values.dtype.kind not in 'bui' or not isinstance(page.bitspersample, int):
        raise UnreadableImage(f'samples of type {values.dtype} ({page.bitspersample} bits)')
    return 2 ** (page.bitspersample - (values.dtype.kind == 'i')) - 1


def _meaning(page: Any, values: np.ndarray) -> Raster:
    """What the samples ``[H, W]`` or ``[H, W, S]`` of a page are."""
    photometric, white = page.photometric, _white(page, values)
    if photometric == PHOTOMETRIC.PALETTE:
        return _through_palette(page, values)
    if photometric == PHOTOMETRIC.YCBCR and page.compression in _JPEG:
        photometric = PHOTOMETRIC.RGB  # decoded as such
    colors = {PHOTOMETRIC.RGB: 3, PHOTOMETRIC.SEPARATED: 4, **dict.fromkeys(_GRAY, 1)}.get(photometric)
    stack = values[..., None] if values.ndim == 2 else values
    extra = stack.shape[2] - colors if colors else 0
    spare = len(page.extrasamples) == 1 and page.extrasamples[0] == EXTRASAMPLE.UNSPECIFIED
    if colors is None or extra < 0 or extra > 1 or (extra and spare and colors == 1):
        raise UnreadableImage(
            f'{stack.shape[2]} channels ({getattr(photometric, "name", photometric)}); gray, RGB and CMYK are read, '
            'with or without transparency'
        )
    alpha = stack[..., -1] if extra and not spare else None
    color = stack[..., 0] if colors == 1 else stack[..., :colors]
    premultiplied = alpha is not None and page.extrasamples[:1] == (EXTRASAMPLE.ASSOCALPHA,)
    if photometric == PHOTOMETRIC.MINISWHITE:
        if white is None:
            raise UnreadableImage('floating point pixels with white as zero')
        color = ~color if color.dtype.kind == 'b' else (white - color.astype(np.int64)).astype(color.dtype)
    if photometric == PHOTOMETRIC.SEPARATED:
        if white is None or alpha is not None:
            raise UnreadableImage('inks with floating point or transparency')
        color = _from_inks(color, white)
    return Raster(color, white, alpha, premultiplied)


def read_tiff(data: bytes) -> Raster:
    """Decode the first page.

    Raises:
        UnreadableImage: damaged, truncated, too large, or samples that are no picture (volumes, many channels, Lab).
    """
    with _silent(), tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        if page.axes not in _AXES:
            raise UnreadableImage(f"axes '{page.axes}'; images of {' or '.join(_AXES)} are read")
        check_size(page.imagewidth, page.imagelength)
        _check_segments(page, data)
        values = page.asarray(maxworkers=1)
        if page.axes == 'SYX':
            values = np.moveaxis(values, 0, -1)
        raster = _meaning(page, values)
        tag = page.tags.get('Orientation')
        raster.orientation = int(tag.value) if tag is not None and tag.value in range(1, 9) else 1
        return raster
