"""PNG of every depth and kind, against values by hand."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from eqssl.datasets import image_reader
from eqssl.datasets.image_reader import UnreadableImage, decode
from tests.images import encode, smooth

RNG = np.random.default_rng(0)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def png(raw: np.ndarray, width: int, depth: int, color: int, *extra: bytes) -> bytes:
    """A PNG by hand, ``raw`` ``[H, bytes]``."""
    rows = b''.join(b'\0' + row.tobytes() for row in raw)
    header = struct.pack('>IIBBBBB', width, len(raw), depth, color, 0, 0, 0)
    parts = [chunk(b'IHDR', header), *extra, chunk(b'IDAT', zlib.compress(rows)), chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


@pytest.mark.parametrize(('color', 'channels'), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_png_keeps_its_scale(color, channels):
    values = RNG.integers(0, 65536, (6, 8, channels), dtype=np.uint16)
    got = decode(png(values.astype('>u2').reshape(6, -1), 8, 16, color)).astype(float)
    v = values / 65535
    opacity = v[..., -1:] if channels in (2, 4) else 1.0
    shown = v[..., :1] if channels < 3 else v[..., :3]
    want = np.broadcast_to(255 * (shown * opacity + 1 - opacity), (6, 8, 3))
    assert np.abs(got - want).max() <= (0.5 + 1e-9 if channels in (1, 3) else 1.01)


@pytest.mark.parametrize('depth', [1, 2, 4, 8, 16])
def test_the_transparent_color_of_a_gray_png_is_transparent_at_every_depth(depth):
    values = np.array([[0, 1, 1, 0, 1, 0, 0, 1]], np.uint16)
    bits = ''.join(f'{v:0{depth}b}' for v in values[0])
    raw = np.array([[int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]], np.uint8)
    got = decode(png(raw, 8, depth, 0, chunk(b'tRNS', struct.pack('>H', 1))))
    assert (got[0, values[0] == 1] == 255).all() and (got[0, values[0] == 0] == 0).all()


def test_the_transparent_color_of_a_sixteen_bit_png_is_compared_in_sixteen_bits():
    values = np.array([[[1000, 2000, 3000], [1001, 2000, 3000]]], np.uint16)  # equal in 8 bits
    got = decode(png(values.astype('>u2').reshape(1, -1), 2, 16, 2, chunk(b'tRNS', struct.pack('>HHH', *values[0, 0]))))
    assert got.tolist() == [[[255, 255, 255], [4, 8, 12]]]


@pytest.mark.parametrize('kind', [b'IDAT', b'tRNS'])
def test_checksums_are_ours_to_check(kind):
    """Pillow, which reads interlaced files, passes over those of the pixels, libpng over the transparent color's."""
    header = struct.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 1)  # one pixel: Adam7's first pass
    clear = chunk(b'tRNS', struct.pack('>HHH', 1, 2, 4))
    pixels = chunk(b'IDAT', zlib.compress(b'\0\1\2\3'))
    whole = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + clear + pixels + chunk(b'IEND', b'')
    assert decode(whole).tolist() == [[[1, 2, 3]]]
    place = whole.index(kind)
    length = int.from_bytes(whole[place - 4 : place])
    damaged = bytearray(whole)
    damaged[place + 4 + length] ^= 0xFF
    with pytest.raises(UnreadableImage, match=f"the checksum of chunk '{kind.decode()}' does not fit"):
        decode(bytes(damaged))


def test_metadata_of_a_png_does_not_decide_over_its_pixels():
    info = PngImagePlugin.PngInfo()
    info.add_text('workflow', 'x' * (1100 << 10), zip=True)
    for options in ({'pnginfo': info}, {'icc_profile': bytes(1100 << 10)}):
        data = encode(smooth(), 'PNG', **options)
        assert np.array_equal(decode(data), np.asarray(smooth()))
    broken = bytearray(encode(smooth(), 'PNG', pnginfo=info))
    broken[broken.index(b'workflow') + 20] ^= 0xFF
    assert np.array_equal(decode(bytes(broken)), np.asarray(smooth()))


def test_images_up_to_our_own_limit_are_read(monkeypatch):
    data = encode(Image.new('1', (18000, 10000)), 'PNG')  # beyond Pillow's
    assert decode(data).shape == (10000, 18000, 3)
    assert image_reader.MAX_PIXELS == 300_000_000
    large = chunk(b'IHDR', struct.pack('>IIBBBBB', 20000, 20000, 8, 2, 0, 0, 0)) + chunk(b'IEND', b'')
    with pytest.raises(UnreadableImage, match='20000 x 20000 pixels are more than'):
        decode(b'\x89PNG\r\n\x1a\n' + large)
