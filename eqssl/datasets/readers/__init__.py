"""One file per image format: bytes to a Raster, exactly or not at all."""

from eqssl.datasets.readers.jpeg import read_jpeg
from eqssl.datasets.readers.other import read_with_pillow
from eqssl.datasets.readers.png import read_png
from eqssl.datasets.readers.raster import MAX_PIXELS, Raster, UnreadableImage, to_rgb
from eqssl.datasets.readers.tiff import read_tiff

__all__ = [
    'MAX_PIXELS',
    'Raster',
    'UnreadableImage',
    'read_jpeg',
    'read_png',
    'read_tiff',
    'read_with_pillow',
    'to_rgb',
]
