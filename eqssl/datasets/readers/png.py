"""PNG of any depth: the chunks that make the pixels, their checksums checked; text and color profiles are not read."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, PngImagePlugin

from eqssl.datasets.readers.raster import Raster, UnreadableImage, check_size, orientation_of

SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PIXELS = (b'IHDR', b'PLTE', b'tRNS', b'IDAT', b'IEND')
_MAX_TEXT = 1 << 20
_PALETTE = 3  # color type


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end of the data) of every chunk up to the end."""
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        if position + 12 + length > len(data):
            break
        yield kind, position + 8, position + 8 + length
        if kind == b'IEND':
            return
        position += 12 + length
    raise UnreadableImage('the file is truncated')


def _text(kind: bytes, body: bytes, keyword: bytes) -> bytes | None:
    """A text chunk's text, at most 1 MiB of it."""
    name, _, rest = body.partition(b'\0')
    if name != keyword:
        return None
    if kind == b'tEXt':
        return rest[:_MAX_TEXT]
    if kind == b'zTXt':
        return zlib.decompressobj().decompress(rest[1:], _MAX_TEXT)
    packed = rest[:1] == b'\x01'
    text = rest[2:].split(b'\0', 2)[-1]
    return zlib.decompressobj().decompress(text, _MAX_TEXT) if packed else text[:_MAX_TEXT]


def _orientation(metadata: list[tuple[bytes, bytes]]) -> int:
    """From the EXIF chunk, from ImageMagick's older text form of it, or from XMP."""
    exif = xmp = None
    for kind, body in metadata:
        try:
            if kind == b'eXIf':
                exif = body
            elif profile := _text(kind, body, b'Raw profile type exif'):  # "\nexif\n  length\n" and hexadecimal digits
                exif = exif or bytes.fromhex(b''.join(profile.split()[2:]).decode('ascii'))
            else:
                xmp = xmp or _text(kind, body, b'XML:com.adobe.xmp')
        except (ValueError, zlib.error):
            continue
    return orientation_of(exif, xmp)


def _decode(data: bytes, interlaced: bool, depth: int, color: int) -> np.ndarray:
    """``[H, W]`` or ``[H, W, C]``, uint8 or uint16; the transparent color of a file becomes a last channel."""
    if interlaced and (depth == 8 or color == _PALETTE):  # of which imagecodecs warns on the console
        image: Image.Image = PngImagePlugin.PngImageFile(io.BytesIO(data))
        clear = 'transparency' in image.info
        if image.mode == 'P' or clear:
            image = image.convert('RGBA' if clear else 'RGB')
        return np.asarray(image)
    import imagecodecs  # large, and a run on arrays reads no file

    return imagecodecs.png_decode(data)


def read_png(data: bytes, white: float | None = None) -> Raster:
    """Decode; of an animation the image that stands for it.

    Args:
        data: the file.
        white: the value that is white in images of 16 bits; None: 65535.

    Raises:
        UnreadableImage: damaged (a checksum does not fit), truncated or too large.
    """
    kept, metadata = [SIGNATURE], []
    for kind, start, end in _chunks(data):
        if kind in _PIXELS:
            if zlib.crc32(data[start - 4 : end]) != int.from_bytes(data[end : end + 4]):
                raise UnreadableImage(f"the checksum of chunk '{kind.decode()}' does not fit")
            kept.append(data[start - 8 : end + 4])
        elif kind in (b'eXIf', b'tEXt', b'zTXt', b'iTXt'):
            metadata.append((kind, data[start:end]))
    if len(kept) < 2 or kept[1][4:8] != b'IHDR' or len(kept[1]) != 25:
        raise UnreadableImage('it has no header')
    header = kept[1][8:21]
    check_size(int.from_bytes(header[:4]), int.from_bytes(header[4:8]))
    values = _decode(b''.join(kept), header[12] == 1, header[8], header[9])
    channels = values.shape[2] if values.ndim == 3 else 1
    alpha = values[..., -1] if channels in (2, 4) else None
    color = values if values.ndim == 2 else values[..., 0] if channels <= 2 else values[..., :3]
    raster = Raster(color, np.iinfo(values.dtype).max, alpha, orientation=_orientation(metadata))
    if values.dtype == np.uint16:
        raster.white, raster.largest = white or raster.white, float(color.max())
    return raster
