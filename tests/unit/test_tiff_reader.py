"""TIFF: layouts against values by hand; what is no picture, or damaged, is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from eqssl.datasets.image_reader import UnreadableImage, decode
from tests.images import encode, gray, smooth, tiff

RNG = np.random.default_rng(0)
PLANES = RNG.integers(0, 65536, (4, 20, 24), dtype=np.uint16)
INK = np.moveaxis(PLANES[:3], 0, -1) / 65535
BLACK = PLANES[3][..., None] / 65535
TWELVE = np.sort(RNG.integers(0, 4096, 480)).astype(np.uint16).reshape(20, 24)
PALETTE = RNG.integers(0, 65536, (3, 256), dtype=np.uint16)
EIGHT = RNG.integers(0, 256, (20, 24), dtype=np.uint8)
LAYOUTS = {  # file, the pixels, tolerance
    'RGB in planes': (tiff(PLANES[:3]), 255 * INK, 0.51),
    'RGB in planes, deflated': (tiff(PLANES[:3], compression='zlib'), 255 * INK, 0.51),
    'RGB in planes, LZW, tiles': (tiff(PLANES[:3], compression='lzw', tile=(16, 16)), 255 * INK, 0.51),
    'RGB, BigTIFF, big-endian': (tiff(PLANES[:3], bigtiff=True, byteorder='>'), 255 * INK, 0.51),
    'RGBA in planes': (tiff(PLANES, photometric='rgb'), 255 * (INK * BLACK + 1 - BLACK), 1.01),
    'CMYK in planes': (tiff(PLANES, photometric='separated'), 255 * (1 - INK) * (1 - BLACK), 0.52),
    'white as zero, 16 bits': (tiff(PLANES[0], photometric='miniswhite'), gray(255 - PLANES[0] / 257), 1),
    'white as zero, 8 bits': (tiff(EIGHT, photometric='miniswhite'), gray(255.0 - EIGHT), 0),
    '12 bits packed': (tiff(TWELVE, bitspersample=12), gray(TWELVE / 4095 * 255), 0),
    '8-bit signed': (tiff((EIGHT // 2).astype(np.int8)), gray((EIGHT // 2) / 127 * 255), 0),
    '32 bits': (tiff(PLANES[0].astype(np.uint32) << 16), gray(PLANES[0] / 65536 * 255), 1),
    'one bit': (tiff(EIGHT > 99, photometric='minisblack'), gray((EIGHT > 99) * 255.0), 0),
    'one bit, white as zero': (tiff(EIGHT > 99, photometric='miniswhite'), gray((EIGHT <= 99) * 255.0), 0),
    'palette': (tiff(EIGHT, photometric='palette', colormap=PALETTE), np.moveaxis(PALETTE, 0, -1)[EIGHT] / 257, 0.51),
    'gray, premultiplied alpha': (
        tiff(np.stack([EIGHT // 2, EIGHT], -1), photometric='minisblack', extrasamples=['assocalpha']),
        gray(EIGHT // 2 + 255.0 - EIGHT), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', LAYOUTS, ids=lambda n: n.replace(' ', '_'))
def test_tiff_layouts(name):
    data, want, tolerance = LAYOUTS[name]
    got = decode(data)
    assert got.shape == (20, 24, 3) and np.abs(got.astype(float) - want).max() <= tolerance


@pytest.mark.parametrize(
    ('array', 'options', 'message'),
    [
        (np.full((4, 5), -3, np.int16), {}, 'negative values'),
        (np.ones((4, 5), np.float32), {}, 'floating point pixels have no defined white; set white'),
        (np.ones((4, 5), np.complex64), {}, 'complex64'),
        (np.ones((7, 20, 24), np.uint16), dict(photometric='minisblack', planarconfig='separate'), '7 channels'),
        (np.ones((20, 24, 2), np.uint8), dict(photometric='minisblack', extrasamples=['unspecified']), '2 channels'),
        (np.ones((16, 32, 32), np.uint8), dict(photometric='minisblack', volumetric=True, tile=(16, 16, 16)), 'ZYX'),
        (np.ones((20, 24, 3), np.uint8), dict(photometric='cielab'), '3 channels .CIELAB.'),
        (np.ones((16, 16), np.uint16), dict(bitspersample=12, compression='jpeg'), 'JPEG of 12 bits inside'),
        (np.ones((16, 16), np.uint8), dict(compression='jpegxr'), 'compression JPEGXR is not read'),
    ],
)
def test_tiffs_without_a_meaning_as_a_picture_are_refused(array, options, message):
    with pytest.raises(UnreadableImage, match=message):
        decode(tiff(array, **options))


def test_white_can_be_set_for_deep_images_alone():
    twelve = tiff(np.array([[0, 2047, 4095, 5000]], np.uint16))
    assert decode(twelve)[0, :, 0].tolist() == [0, 8, 16, 19]
    assert decode(twelve, white=4095)[0, :, 0].tolist() == [0, 127, 255, 255]
    assert decode(tiff(np.array([[0.0, 0.5, 1.0]], np.float32)), white=1.0)[0, :, 0].tolist() == [0, 128, 255]
    assert decode(tiff(np.array([[0, 100, 255]], np.uint8)), white=4095)[0, :, 0].tolist() == [0, 100, 255]
    with pytest.raises(UnreadableImage, match='not finite'):
        decode(tiff(np.array([[np.nan, 0.5]], np.float32)), white=1.0)


def strip_offsets(data: bytes):
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return file.pages[0].tags['StripOffsets']


def test_the_set_white_is_that_of_the_file_s_own_numbers():
    """Before white and black are exchanged, inks mixed, transparency laid over white; not for palettes of 8 bits."""
    v = np.array([[0, 1000, 4095]], np.uint16)
    plain = decode(tiff(v), white=4095)
    assert np.array_equal(decode(tiff(4095 - v, photometric='miniswhite'), white=4095), plain)
    inks = np.stack([4095 - v, 4095 - v, 4095 - v, 0 * v], -1)
    assert np.abs(decode(tiff(inks, photometric='separated'), white=4095).astype(int) - plain).max() <= 1
    for layout in (np.stack([v, 0 * v + 4095], -1), np.stack([v, v, v, 0 * v + 4095], -1)):
        kind = dict(photometric='rgb' if layout.shape[-1] == 4 else 'minisblack', extrasamples=['unassalpha'])
        assert np.array_equal(decode(tiff(layout, **kind), white=4095), plain)
    palette = tiff(EIGHT, photometric='palette', colormap=PALETTE)
    assert np.array_equal(decode(palette, white=4095), decode(palette))


@pytest.mark.parametrize('compression', ['group4', 'tiff_ccitt'])
def test_cut_off_fax_is_refused(compression):
    data = encode(Image.fromarray(np.random.default_rng(3).random((64, 64)) > 0.5), 'TIFF', compression=compression)
    assert decode(data).shape == (64, 64, 3)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages[0].tags['StripByteCounts']
    cut = bytearray(data)
    size = {3: 2, 4: 4}[int(tag.dtype)]
    cut[tag.valueoffset : tag.valueoffset + size] = (int(tag.value[0]) // 3).to_bytes(size, 'little')
    with pytest.raises(UnreadableImage):
        decode(bytes(cut))


def test_uncompressed_ycbcr_is_read():
    got = decode(encode(smooth().convert('YCbCr'), 'TIFF'))
    assert np.abs(got.astype(int) - np.asarray(smooth()).astype(int)).max() <= 4


def test_a_tiff_with_damaged_tags_or_missing_strips_is_refused():
    one = bytearray(tiff(np.asarray(smooth()), photometric='rgb'))
    one[strip_offsets(bytes(one)).offset + 2] = 5  # a fraction
    many = bytearray(tiff(np.asarray(smooth()), rowsperstrip=4, photometric='rgb', compression='zlib'))
    place = strip_offsets(bytes(many)).valueoffset
    many[place + 2 : place + 4] = many[place + 4 : place + 6] = bytes(2)  # the second strip: nowhere
    for data in (one, many):
        with pytest.raises(UnreadableImage):
            decode(bytes(data))


def test_a_damaged_jpeg_inside_a_tiff_is_refused():
    whole = tiff(np.asarray(smooth((256, 256))), photometric='rgb', compression='jpeg')
    assert decode(whole).shape == (256, 256, 3)
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        start, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    hole = bytearray(whole)
    hole[start + length // 2 : start + length // 2 + 40] = bytes(40)
    with pytest.raises(UnreadableImage):
        decode(bytes(hole))
