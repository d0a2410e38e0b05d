"""Every kind of image file comes back as its pixels, or is refused: never as something else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from eqssl.datasets.image_reader import UnreadableImage, decode
from eqssl.datasets.readers.raster import upright
from tests.images import encode, smooth, tiff
from tests.unit.test_jpeg_reader import jpegs

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF', 'GIF'])
def test_common_formats(kind):
    got = decode(encode(smooth(), kind))
    assert got.shape == (40, 48, 3) and got.dtype == np.uint8
    assert np.abs(got.astype(int) - np.asarray(smooth()).astype(int)).mean() < 8


def test_gray_palette_and_cmyk_look_as_they_are():
    rgb = np.asarray(smooth()).astype(int)
    got = decode(encode(smooth().convert('L'), 'JPEG'))
    assert got.shape == (40, 48, 3) and (np.ptp(got.astype(int), axis=2) <= 2).all()
    assert np.abs(decode(encode(smooth().convert('P'), 'PNG')).astype(int) - rgb).mean() < 25
    assert np.abs(decode(encode(smooth().convert('CMYK'), 'JPEG')).astype(int) - rgb).mean() < 10


def test_hidden_color_under_transparency_stays_hidden():
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0] = 255  # red everywhere, but
    rgba[:4, :, 3] = 255  # visible in the upper half only
    for kind in ('PNG', 'TIFF'):
        got = decode(encode(Image.fromarray(rgba), kind))
        assert (got[:4] == [255, 0, 0]).all() and (got[4:] == 255).all()
    frame = Image.fromarray(np.array([[0, 1]], np.uint8), 'P')
    frame.putpalette([255, 0, 0, 0, 255, 0])
    assert decode(encode(frame, 'GIF', transparency=1)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_is_applied_in_every_format(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(RNG.integers(0, 255, (5, 7, 3), dtype=np.uint8))
    png = encode(image, 'PNG', exif=exif)
    want = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(png))))
    assert np.array_equal(decode(png), want)
    assert np.array_equal(upright(np.asarray(image), orientation), want)
    assert np.array_equal(decode(encode(image, 'WEBP', exif=exif, lossless=True)), want)
    tag = [(274, 'H', 1, orientation, True)]
    assert np.array_equal(decode(tiff(np.asarray(image), photometric='rgb', extratags=tag)), want)
    jpeg = encode(smooth(), 'JPEG', exif=exif)
    turned = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg)))).astype(int)
    assert np.abs(decode(jpeg).astype(int) - turned).max() <= 4, 'one decoder and another'


def test_orientation_in_xmp_and_in_imagemagicks_text():
    turned = np.asarray(smooth().transpose(Image.Transpose.ROTATE_270))
    exif = Image.Exif()
    exif[0x0112] = 6
    digits = b'Exif\0\0' + exif.tobytes().removeprefix(b'Exif\0\0')
    for name, text in (
        ('XML:com.adobe.xmp', '<x tiff:Orientation="6"/>'),
        ('Raw profile type exif', f'\nexif\n{len(digits):8}\n{digits.hex()}\n'),
    ):
        for packed in (False, True):
            info = PngImagePlugin.PngInfo()
            (info.add_itxt if name.startswith('XML') else info.add_text)(name, text, zip=packed)
            assert np.array_equal(decode(encode(smooth(), 'PNG', pnginfo=info)), turned), (name, packed)


def broken_files() -> dict[str, bytes]:
    jpeg, png = encode(smooth((256, 256)), 'JPEG'), encode(smooth(), 'PNG')
    middle = bytearray(jpeg)
    middle[len(jpeg) // 2 : len(jpeg) // 2 + 20] = bytes(20)
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 0xFF
    strips = tiff(np.asarray(smooth()), rowsperstrip=4, compression='zlib', photometric='rgb')
    damaged = bytearray(strips)
    damaged[len(strips) // 2] ^= 0xFF
    return {
        'empty': b'', 'text': b'hello', 'html': b'<html></html>', 'truncated jpeg': jpeg[: len(jpeg) // 2],
        'truncated png': png[: len(png) // 2], 'damaged jpeg': bytes(middle), 'damaged png': bytes(flipped),
        'header only': jpeg[:200], 'postscript': b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n',
        'truncated tiff': strips[: len(strips) // 2], 'damaged tiff': bytes(damaged),
        'truncated raw tiff': tiff(np.asarray(smooth()))[:-10], 'truncated gif': encode(smooth(), 'GIF')[:-300],
        'truncated webp': encode(smooth(), 'WEBP')[:-20], 'truncated bmp': encode(smooth(), 'BMP')[:-20],
    }  # fmt: skip


@pytest.mark.parametrize('kind', broken_files())
def test_broken_files_are_refused_never_silently_read(kind):
    with pytest.raises(UnreadableImage):
        decode(broken_files()[kind])


def test_no_decoder_but_that_of_the_files_first_bytes_is_asked(monkeypatch):
    monkeypatch.setattr(Image, 'open', lambda *a, **kw: pytest.fail('Pillow searched for a decoder'))
    for data in (*broken_files().values(), *jpegs().values()):
        try:
            decode(data)
        except UnreadableImage:
            continue
