"""TIFF in its many layouts: depth, planes, inks, palettes; what has no meaning as a picture is refused.

tifffile decodes (Pillow scrambles separate planes of 16 bits, reads 12 bits as 8 and wraps signed values); this file
says what its numbers mean.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC

from eqssl.datasets.readers.jpeg import check_scan
from eqssl.datasets.readers.raster import Raster, UnreadableImage, check_size

if TYPE_CHECKING:
    from tifffile import TiffPage

SIGNATURES = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_AXES = ('YX', 'YXS', 'SYX')
_JPEG = (COMPRESSION.JPEG,)
_JPEG2000 = (COMPRESSION.JPEG2000, COMPRESSION.APERIO_JP2000_YCBC, COMPRESSION.APERIO_JP2000_RGB)
_FAX = (COMPRESSION.CCITTRLE, COMPRESSION.CCITT_T6)  # T.4 has no end by which a cut would show
_FAX_END = '000000000001' * 2
_CHECKED = (
    COMPRESSION.NONE, COMPRESSION.LZW, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE, COMPRESSION.PACKBITS,
    COMPRESSION.LZMA, COMPRESSION.ZSTD, *_JPEG, *_JPEG2000, *_FAX,
)  # fmt: skip
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


def _check_compression(page: TiffPage) -> None:
    """Only those whose damage shows: a decoder that fills in what is missing is none for us."""
    compression = page.compression
    name = getattr(compression, 'name', compression)
    if compression not in _CHECKED:
        raise UnreadableImage(f'compression {name} is not read')
    if compression == COMPRESSION.JPEG and page.bitspersample != 8:
        raise UnreadableImage(f'JPEG of {page.bitspersample} bits inside, whose damage no decoder reports')


def _check_segments(page: TiffPage, data: bytes) -> None:
    """Every strip or tile lies in the file (tifffile fills missing ones with zeros), and JPEG ones are whole."""
    offsets, counts = page.dataoffsets, page.databytecounts
    expected = int(np.prod(page.chunked))
    contiguous = len(offsets) == len(counts) == 1
    if len(offsets) != len(counts) or (len(offsets) != expected and not contiguous):
        raise UnreadableImage(f'{len(offsets)} strips or tiles instead of {expected}')
    for offset, count in zip(offsets, counts, strict=True):
        if offset <= 0 or count <= 0 or offset + count > len(data):
            raise UnreadableImage('a strip or tile lies outside the file')
        part = data[offset : offset + count]
        if page.compression == COMPRESSION.JPEG:
            check_scan(page.jpegtables[:-2] + part[2:] if page.jpegtables else part)
        elif page.compression in _JPEG2000 and b'\xff\xd9' not in part[-8:]:
            raise UnreadableImage('JPEG 2000 without its end')
        elif page.compression == COMPRESSION.CCITT_T6:
            bits = [f'{byte:08b}' for byte in part[-8:]]
            if _FAX_END not in ''.join(bits if page.fillorder == 1 else [byte[::-1] for byte in bits]):
                raise UnreadableImage('fax (T.6) without its end')
    if page.compression in _FAX:  # libtiff notices what imagecodecs fills in
        TiffImagePlugin.TiffImageFile(io.BytesIO(data)).load()


def _through_palette(page: TiffPage, values: np.ndarray) -> Raster:
    """Palette numbers to 8-bit RGB; entries are 16 bits, but some writers fill in 8."""
    if page.colormap is None or values.ndim != 2:
        raise UnreadableImage('a palette image without its palette')
    colors = np.moveaxis(np.asarray(page.colormap), 0, -1)
    if values.max() >= len(colors):
        raise UnreadableImage('a value beyond the palette')
    eight = np.rint(colors / 257) if colors.max() > 255 else colors
    return Raster(eight.astype(np.uint8)[values])


def _from_inks(values: np.ndarray, white: float) -> np.ndarray:
    """CMYK ``[H, W, 4]`` to RGB of the same scale, without a profile: (1 - C)(1 - K)."""
    if values.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(values), 'CMYK').convert('RGB'))
    inks = np.clip(values.astype(np.float32) / white, 0, 1)
    return np.rint((1 - inks[..., :3]) * (1 - inks[..., 3:]) * white).astype(values.dtype)


def _own_white(page: TiffPage, values: np.ndarray) -> int | None:
    """The largest value of the samples' type, by the bits that they really have."""
    if values.dtype.kind == 'f':
        return None
    if values.dtype.kind not in 'bui' or not isinstance(page.bitspersample, int):
        raise UnreadableImage(f'samples of type {values.dtype} ({page.bitspersample} bits)')
    return 2 ** (page.bitspersample - (values.dtype.kind == 'i')) - 1


def _channels(page: TiffPage, values: np.ndarray, photometric: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Color samples ``[H, W]`` or ``[H, W, 3 or 4]`` and opacity."""
    known: dict[int, int] = {PHOTOMETRIC.RGB: 3, PHOTOMETRIC.SEPARATED: 4, **dict.fromkeys(_GRAY, 1)}
    colors = known.get(photometric)
    stack = values[..., None] if values.ndim == 2 else values
    extra = stack.shape[2] - colors if colors else 0
    spare = len(page.extrasamples) == 1 and page.extrasamples[0] == EXTRASAMPLE.UNSPECIFIED
    unnamed = extra == 1 and colors == 1 and (spare or not page.extrasamples)
    if colors is None or extra not in (0, 1) or unnamed:
        raise UnreadableImage(
            f'{stack.shape[2]} channels ({getattr(photometric, "name", photometric)}); gray, RGB and CMYK are read, '
            'with or without transparency'
        )
    alpha = stack[..., -1] if extra and not spare else None
    return (stack[..., 0] if colors == 1 else stack[..., :colors]), alpha


def _meaning(page: TiffPage, values: np.ndarray, setting: float | None) -> Raster:
    """What the samples ``[H, W]`` or ``[H, W, S]`` of a page are."""
    photometric, own = page.photometric, _own_white(page, values)
    if photometric == PHOTOMETRIC.PALETTE:
        return _through_palette(page, values)
    deep = own is None or own > 255
    white: Any = setting if deep and setting is not None else own
    largest = float(np.nanmax(values)) if deep else None
    if photometric == PHOTOMETRIC.YCBCR:
        if page.compression not in _JPEG:  # what JPEG decodes is RGB already
            values = _from_ycbcr(page, values)
        photometric = PHOTOMETRIC.RGB
    color, alpha = _channels(page, values, photometric)
    premultiplied = alpha is not None and page.extrasamples[:1] == (EXTRASAMPLE.ASSOCALPHA,)
    if photometric in (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.SEPARATED) and own is None:
        raise UnreadableImage(f'floating point pixels of kind {PHOTOMETRIC(photometric).name}')
    if photometric == PHOTOMETRIC.MINISWHITE:
        color = ~color if color.dtype.kind == 'b' else np.clip(white - color.astype(np.float64), 0, None)
        color = color if deep or color.dtype.kind == 'b' else color.astype(values.dtype)
    if photometric == PHOTOMETRIC.SEPARATED:
        if alpha is not None:
            raise UnreadableImage('inks with transparency')
        color = _from_inks(color, white)
    return Raster(color, white, alpha, premultiplied, largest=largest)


def _from_ycbcr(page: TiffPage, values: np.ndarray) -> np.ndarray:
    if values.dtype != np.uint8 or values.ndim != 3 or values.shape[2] != 3 or page.is_subsampled:
        raise UnreadableImage('YCbCr of another kind than three full channels of 8 bits')
    return np.asarray(Image.fromarray(np.ascontiguousarray(values), 'YCbCr').convert('RGB'))


def read_tiff(data: bytes, white: float | None = None) -> Raster:
    """Decode the first page.

    Args:
        data: the file.
        white: the value that is white where samples have more than 8 bits; None: the largest of their type.

    Raises:
        UnreadableImage: damaged, truncated, too large, or samples that are no picture (volumes, many channels, Lab).
    """
    with _silent(), tifffile.TiffFile(io.BytesIO(data)) as file:
        page = cast('TiffPage', file.pages[0])
        if page.axes not in _AXES:
            raise UnreadableImage(f"axes '{page.axes}'; images of {' or '.join(_AXES)} are read")
        check_size(page.imagewidth, page.imagelength)
        _check_compression(page)
        _check_segments(page, data)
        values = page.asarray(maxworkers=1)
        if page.axes == 'SYX':
            values = np.moveaxis(values, 0, -1)
        raster = _meaning(page, values, white)
        tag = page.tags.get('Orientation')
        raster.orientation = int(tag.value) if tag is not None and tag.value in range(1, 9) else 1
        return raster
