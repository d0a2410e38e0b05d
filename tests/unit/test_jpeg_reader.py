"""JPEG: whole pictures are read whatever their header; damaged ones of every kind are refused."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from eqssl.datasets.image_reader import UnreadableImage, decode
from eqssl.datasets.readers.jpeg import orderly
from tests.images import encode, smooth


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


@pytest.mark.parametrize('sampling', ['444', '422', '420', '411', '440'])
def test_chroma_samplings_against_pillow(sampling):
    jpeg = imagecodecs.jpeg8_encode(np.asarray(smooth((64, 48))), subsampling=sampling, level=95)
    want = np.asarray(Image.open(io.BytesIO(jpeg)).convert('RGB')).astype(int)
    assert np.abs(decode(jpeg).astype(int) - want).max() <= 4
