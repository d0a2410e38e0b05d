"""WebP, BMP and GIF, by Pillow's decoder of that very format (its search through all formats may start a program)."""

from __future__ import annotations

import io

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, WebPImagePlugin

from eqssl.datasets.readers.raster import Raster, check_size, orientation_of

_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    'webp': WebPImagePlugin.WebPImageFile,
    'bmp': BmpImagePlugin.BmpImageFile,
    'gif': GifImagePlugin.GifImageFile,
}


def read_with_pillow(data: bytes, kind: str) -> Raster:
    """Decode; of an animation the first frame.

    Args:
        data: the file.
        kind: 'webp', 'bmp' or 'gif'.
    """
    image: Image.Image = _DECODERS[kind](io.BytesIO(data))
    check_size(image.width, image.height)
    orientation = orientation_of(image.info.get('exif'), image.info.get('xmp'))
    if image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa') or 'transparency' in image.info:
        rgba = np.asarray(image.convert('RGBA'))
        return Raster(rgba[..., :3], alpha=rgba[..., 3], orientation=orientation)
    return Raster(np.asarray(image.convert('RGB')), orientation=orientation)
