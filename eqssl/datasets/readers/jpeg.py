"""JPEG: damage in the picture is refused, oddities in the header are not.

libjpeg goes on after whatever it does not understand and only warns; of several warnings it tells the first. So a file
that it warns about is written anew with an orderly header and decoded again: what it still warns about is damage.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import JpegImagePlugin

from eqssl.datasets.readers.raster import Raster, UnreadableImage, check_size, orientation_of

_EOI, _SOS, _APP0, _APP1 = 0xD9, 0xDA, 0xE0, 0xE1
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_SEQUENTIAL = {0xC0, 0xC1, 0xC9}
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_BETWEEN_SCANS = {0xC4, 0xCC, _SOS, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)}
_SCAN_END = re.compile(rb'\xff[\x01-\xcf\xd8-\xfe]')
_PADDED_END = 'extraneous bytes before marker 0xd9'


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, segment with its length) of a file; (0, bytes) are a scan's data, verbatim.

    Bytes between segments that belong to none, and everything after the end, are left out. Stops where the structure
    breaks: what is yielded then lacks the rest.
    """
    position, scanned = 2, False
    while True:
        position = data.find(b'\xff', position)
        while position >= 0 and data[position : position + 1] == b'\xff':
            position += 1
        if not 0 < position < len(data):
            return
        marker = data[position]
        position += 1
        if marker == _EOI:
            yield marker, b''
            return
        if marker in _ALONE or marker == 0:
            continue
        length = int.from_bytes(data[position : position + 2])
        if length < 2 or position + length > len(data) or (scanned and marker not in _BETWEEN_SCANS):
            return
        yield marker, data[position : position + length]
        position += length
        if marker == _SOS:
            scanned = True
            end = _SCAN_END.search(data, position)
            stop = end.start() if end else len(data)
            yield 0, data[position:stop]
            position = stop


def orderly(data: bytes, unpad: bool = False) -> bytes | None:
    """The same picture without what decoders only warn about.

    Stray bytes between segments go, an unknown JFIF version becomes 1, a sequential scan's header (whose last three
    bytes mean nothing) gets the prescribed values, and a missing end is added where every component has been scanned.

    Args:
        data: a JPEG file.
        unpad: take zeros between the last scan and the end away.

    Returns:
        None where the file has no frame.
    """
    out, frame, ended = [b'\xff\xd8'], 0, False
    for marker, body in _parts(data):
        if marker == 0:
            out.append(body)
            continue
        if marker == _EOI:
            ended = True
            break
        if marker in _FRAMES:
            frame = marker
        if marker == _APP0 and body[2:7] == b'JFIF\0' and len(body) > 7:
            body = body[:7] + b'\x01' + body[8:]
        if marker == _SOS and frame in _SEQUENTIAL:
            body = body[:-3] + b'\x00\x3f\x00'
        out += [bytes([0xFF, marker]), body]
    if not frame:
        return None
    if unpad:
        rest = out[-1].rstrip(b'\0')
        out[-1] = rest + b'\0' * rest.endswith(b'\xff')  # ff 00 stands for ff
    added = not ended and frame in _SEQUENTIAL and missing_scans(data) is None
    return b''.join(out) + (b'\xff\xd9' if ended or added else b'')


def missing_scans(data: bytes) -> str | None:
    """What a file of several scans leaves out: decoders draw the rest in gray, or coarsely, without a warning.

    A progressive file refines each coefficient of each component down to its last bit (T.81, annex G): the bits left
    after all of its scans (``Al``) must be 0.
    """
    frame = 0
    left: dict[int, list[int | None]] = {}
    for marker, body in _parts(data):
        if marker in _FRAMES:
            frame = marker
            left = {component: [None] * 64 for component in body[8::3]}
        elif marker == _SOS and len(body) > 5:
            first, last, bits = (0, 63, 0) if frame in _SEQUENTIAL else (body[-3], body[-2], body[-1] & 15)
            for i in range(min(body[2], (len(body) - 6) // 2)):
                if body[3 + 2 * i] in left:
                    left[body[3 + 2 * i]][first : last + 1] = [bits] * (min(last, 63) + 1 - first)
    if any(bits != 0 for component in left.values() for bits in component):
        return 'scans are missing'
    return None


def check_scan(data: bytes) -> None:
    """Refuse a file whose picture is damaged or cut off.

    Raises:
        UnreadableImage: says how.
    """
    _whole(data, _header(data))


def _whole(data: bytes, header: _Header) -> tuple[bytes, np.ndarray]:
    """The bytes that decode without a warning (of the file, or of an orderly copy), and their pixels."""
    try:
        return data, _decode(data, header)
    except ValueError as error:
        reason = error
    for unpad in (False, True):
        copy = orderly(data, unpad)
        if copy is None:
            break
        try:
            return copy, _decode(copy, header)
        except ValueError as error:
            if _PADDED_END not in str(error):
                break
    raise UnreadableImage(' '.join(str(reason).split())) from reason


@dataclass
class _Header:
    """What stands before the first scan.

    Attributes:
        frame: marker of the frame, 0 where there is none.
        components: of the frame.
        scanned: how many of them the first scan has.
        exif, xmp: metadata blocks, where there are any.
    """

    frame: int = 0
    components: int = 0
    scanned: int = 0
    exif: bytes | None = None
    xmp: bytes | None = None


def _header(data: bytes) -> _Header:
    """One walk up to the first scan; an image that is too large is refused there."""
    header = _Header()
    for marker, body in _parts(data):
        if marker in _FRAMES and len(body) > 7:
            check_size(int.from_bytes(body[5:7]), int.from_bytes(body[3:5]))
            header.frame, header.components = marker, body[7]
        elif marker == _APP1 and body[2:8] == b'Exif\0\0':
            header.exif = header.exif or body[2:]
        elif marker == _APP1 and body[2:31] == b'http://ns.adobe.com/xap/1.0/\0':
            header.xmp = header.xmp or body[31:]
        elif marker == _SOS:
            header.scanned = body[2] if len(body) > 2 else 0
            break
    return header


def _decode(data: bytes, header: _Header) -> np.ndarray:
    """Strictly, ``[H, W, 3]`` RGB or ``[H, W, 4]`` of an ink picture; ValueError at any warning."""
    pixels = simplejpeg.decode_jpeg(data, colorspace='CMYK' if header.components == 4 else 'RGB', strict=True)
    if header.frame not in _SEQUENTIAL or header.scanned < header.components:
        missing = missing_scans(data)
        if missing is not None:
            raise ValueError(missing)
    return pixels


def read_jpeg(data: bytes) -> Raster:
    """Decode; of several pictures in one file the first.

    Raises:
        UnreadableImage: damaged, cut off, or of a kind that libjpeg does not read (12 bits per sample).
    """
    header = _header(data)
    data, pixels = _whole(data, header)
    if pixels.shape[2] == 4:  # Pillow knows whose inks are inverted
        pixels = np.asarray(JpegImagePlugin.JpegImageFile(io.BytesIO(data)).convert('RGB'))
    return Raster(pixels, orientation=orientation_of(header.exif, header.xmp))
