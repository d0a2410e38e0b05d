"""Every kind of image file comes back as its pixels, or is refused: never as something else."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from eqssl.datasets import image_reader
from eqssl.datasets.image_reader import UnreadableImage, decode
from eqssl.datasets.readers.jpeg import orderly
from eqssl.datasets.readers.raster import upright

RNG = np.random.default_rng(0)


def encode(image: Image.Image, kind: str, **kw) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **kw)
    return buffer.getvalue()


def smooth(size=(48, 40)) -> Image.Image:
    low = np.random.default_rng(0).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(low).resize(size, Image.Resampling.BICUBIC)


def tiff(array: np.ndarray, **kw) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **kw)
    return buffer.getvalue()


def gray(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(values)[..., None], 3, axis=2).astype(int)


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


# -- JPEG --------------------------------------------------------------------------------------------------------


def scan_of(jpeg: bytes) -> int:
    """Where the entropy-coded data begin."""
    start = jpeg.index(b'\xff\xda')
    return start + 2 + int.from_bytes(jpeg[start + 2 : start + 4])


def jpegs() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 80, 3), dtype=np.uint8))
    other = encode(noise.rotate(90), 'JPEG')
    return {
        'color': encode(noise, 'JPEG'), 'gray': encode(noise.convert('L'), 'JPEG'),
        'inks': encode(noise.convert('CMYK'), 'JPEG'), 'progressive': encode(noise, 'JPEG', progressive=True),
        'restarts': encode(noise, 'JPEG', restart_marker_rows=1),
        'two pictures': encode(noise, 'MPO', save_all=True, append_images=[noise.rotate(180)]),
        'with a video behind': encode(noise, 'JPEG') + other,
    }  # fmt: skip


def odd(jpeg: bytes) -> dict[str, bytes]:
    """Whole pictures of which libjpeg warns."""
    scan, first = scan_of(jpeg), 4 + int.from_bytes(jpeg[4:6])
    samsung, version = bytearray(jpeg), bytearray(jpeg)
    samsung[scan - 2], version[11] = 0, 2
    both = bytearray(jpeg[:first] + b'\0\0' + jpeg[first:])
    both[scan] = 0
    end = jpeg.rindex(b'\xff\xd9')
    return {
        'scan header': bytes(samsung), 'version': bytes(version), 'stray bytes': jpeg[:first] + b'\0\0' + jpeg[first:],
        'both': bytes(both), 'zeros before the end': jpeg[:end] + bytes(5) + jpeg[end:], 'no end': jpeg[:end],
        'bytes behind the end': jpeg + b'abc', 'fill bytes': jpeg[:first] + b'\xff\xff' + jpeg[first:],
    }  # fmt: skip


@pytest.mark.parametrize('kind', ['color', 'gray', 'inks', 'restarts'])
def test_whole_jpegs_are_read_whatever_their_header(kind):
    jpeg = jpegs()[kind]
    want = decode(jpeg)
    for name, data in odd(jpeg).items():
        if kind == 'inks' and name == 'version':
            continue  # has no JFIF header
        assert np.array_equal(decode(data), want), name


@pytest.mark.parametrize('kind', jpegs())
def test_jpegs_of_every_kind_are_refused_when_their_picture_is_damaged(kind):
    jpeg = jpegs()[kind]
    want, scan = decode(jpeg), scan_of(jpeg)
    end = jpeg.index(b'\xff\xd9', scan)
    for share in (0.05, 0.3, 0.6, 0.9):
        place = scan + int(share * (end - scan))
        hole = bytearray(jpeg)
        hole[place : place + 200] = np.random.default_rng(place).bytes(200)  # JPEG has no checksum: less may decode
        for name, data in (('hole', bytes(hole)), ('cut', jpeg[:place])):
            for mended in (data, *(odd(data).values() if name == 'hole' and kind == 'color' else ())):
                with pytest.raises(UnreadableImage):
                    assert decode(mended) is None
    assert np.array_equal(decode(jpeg), want)


def test_a_jpeg_cut_anywhere_gives_its_pixels_or_nothing():
    jpeg = encode(smooth((32, 24)), 'JPEG', quality=90)
    want, whole = decode(jpeg), 0
    for length in range(2, len(jpeg)):
        try:
            assert np.array_equal(decode(jpeg[:length]), want)
            whole += 1
        except UnreadableImage:
            continue
    assert 1 <= whole <= 4, 'without its end marker, or without bits that only pad'
    progressive = encode(smooth((32, 24)), 'JPEG', progressive=True)
    for length in range(2, len(progressive) - 1):
        with pytest.raises(UnreadableImage):
            decode(progressive[:length])


def scans_of(jpeg: bytes) -> list[int]:
    """Where each scan's header begins."""
    found, place = [], jpeg.find(b'\xff\xda')
    while place >= 0:
        found.append(place)
        place = jpeg.find(b'\xff\xda', place + 2)
    return found


def test_a_progressive_jpeg_without_all_its_scans_is_refused():
    """libjpeg draws what is there, without a warning."""
    jpeg = jpegs()['progressive']
    scans = scans_of(jpeg)
    assert len(scans) > 5
    for cut in range(1, len(scans)):
        with pytest.raises(UnreadableImage, match='scans are missing'):
            decode(jpeg[: scans[cut]].rsplit(b'\xff\xc4', 1)[0] + b'\xff\xd9')


def test_an_orderly_jpeg_stays_what_it_is():
    for name, jpeg in jpegs().items():
        copy = orderly(jpeg)
        assert (copy is not None and jpeg.startswith(copy)) or name == 'inks', name
    assert orderly(b'\xff\xd8\xff\xd9') is None


# -- PNG ---------------------------------------------------------------------------------------------------------


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


# -- TIFF --------------------------------------------------------------------------------------------------------


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


def test_no_decoder_but_that_of_the_files_first_bytes_is_asked(monkeypatch):
    monkeypatch.setattr(Image, 'open', lambda *a, **kw: pytest.fail('Pillow searched for a decoder'))
    for data in (*broken_files().values(), *jpegs().values()):
        try:
            decode(data)
        except UnreadableImage:
            continue
