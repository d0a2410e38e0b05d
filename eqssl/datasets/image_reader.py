"""Decode one image file into RGB, exactly or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
MAX_PIXELS = 300_000_000  # a decompression bomb beyond this is refused before anything is decoded
_ORIENTATION = 0x0112


class UnreadableImage(Exception):
    """An image that cannot be trusted; the message says why."""


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB: 16-bit grey scaled, transparency laid over white (hidden color stays hidden)."""
    if image.mode in ('I', 'I;16', 'I;16B', 'I;16L'):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UnreadableImage(f'integer values outside 16 bit (mode {image.mode})')
        return Image.fromarray((values // 257).astype(np.uint8)).convert('RGB')
    if image.mode == 'F':
        raise UnreadableImage('floating point pixels have no defined white')
    if image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa') or 'transparency' in image.info:
        rgba = image.convert('RGBA')
        white = Image.new('RGBA', rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert('RGB')
    return image.convert('RGB')


def decode(data: bytes) -> np.ndarray:
    """Decode an image.

    Args:
        data: the bytes of a jpg, png, webp, bmp or tif file; of an animation the first frame counts.

    Returns:
        ``[H, W, 3]`` uint8 RGB, upright (EXIF orientation applied).

    Raises:
        UnreadableImage: empty, truncated or corrupt file, not an image, too large, or floating point pixels. A JPEG
            whose decoder only warns (data lost in the middle) counts as corrupt.
    """
    if not data:
        raise UnreadableImage('empty file')
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableImage(f'{image.width} x {image.height} pixels are more than {MAX_PIXELS}')
        if image.format == 'JPEG' and image.mode in ('RGB', 'L') and image.getexif().get(_ORIENTATION, 1) == 1:
            return simplejpeg.decode_jpeg(data, colorspace='RGB', strict=True)
        if image.format == 'JPEG' and image.mode in ('RGB', 'L'):  # rotated: decode strictly, then turn
            image = _with_exif(Image.fromarray(simplejpeg.decode_jpeg(data, 'RGB', strict=True)), image)
        if image.format == 'PNG':
            Image.open(io.BytesIO(data)).verify()  # checksums, which reading alone ignores
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage('not an image file') from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, MemoryError, EOFError) as error:
        raise UnreadableImage(' '.join(str(error).split()) or type(error).__name__) from error


def _with_exif(pixels: Image.Image, source: Image.Image) -> Image.Image:
    """Pixels decoded elsewhere, with the orientation of their source."""
    pixels.getexif()[_ORIENTATION] = source.getexif()[_ORIENTATION]
    return pixels


def read(path: str | Path) -> np.ndarray:
    """Read and decode one file; see :func:`decode`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImage(error.strerror or type(error).__name__) from error
    return decode(data)
