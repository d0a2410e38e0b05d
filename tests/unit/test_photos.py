"""The embedded photographs: credits, windows, the cache."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from eqssl.config.data import named_data
from eqssl.datasets.photos import SOURCE, WINDOWS, photographs, photos_folder, windows
from eqssl.datasets.sources import ArrayImages

FREE = ('public-domain', 'CC0-1.0', 'CC-BY-', 'CC-BY-SA-')


def test_every_photograph_has_an_author_a_free_license_and_a_row_in_the_table():
    with np.load(SOURCE, allow_pickle=False) as arrays:
        credits = [arrays[k].tolist() for k in ('names', 'authors', 'licenses', 'sources')]
        assert len(arrays['ends']) == 100 and arrays['ends'][-1] == len(arrays['photos'])
    rows = list(zip(*credits, strict=True))
    assert len(set(credits[0])) == 100 and all(author for author in credits[1])
    assert all(license.startswith(FREE) for license in credits[2])
    with open(SOURCE.parent / 'PHOTOS.tsv', encoding='utf-8') as file:
        table = [tuple(row) for row in csv.reader(file, delimiter='\t', quoting=csv.QUOTE_NONE)]
    assert table[0] == ('name', 'author', 'license', 'source') and table[1:] == rows


def test_embedded_images_take_less_than_8_mb():
    assert sum(f.stat().st_size for f in SOURCE.parent.glob('*.npz')) < 8e6


def test_windows_are_the_same_every_time_and_differ_between_splits():
    photo = photographs()[3]
    first, again = windows(photo, 'train', 3), windows(photo, 'train', 3)
    assert first.shape == (WINDOWS['train'], 32, 32, 3) and first.dtype == np.uint8 and np.array_equal(first, again)
    seen = {image.tobytes() for image in first}
    assert not any(image.tobytes() in seen for image in windows(photo, 'test', 3))


def test_the_arrays_are_made_once_and_open_as_a_source(tmp_path, monkeypatch):
    monkeypatch.setenv('EQSSL_CACHE', str(tmp_path))
    folder = photos_folder()
    assert named_data('photos') == str(folder) and [p.name for p in tmp_path.iterdir()] == [folder.name]
    made = (folder / 'train_images.npy').stat().st_mtime_ns
    for split, count in WINDOWS.items():
        source = ArrayImages(str(folder), split=split)
        assert len(source) == 100 * count and np.array_equal(np.bincount(source.labels), [count] * 100)
        photo = source.label(7)
        assert any(np.array_equal(source.load(7), image) for image in windows(photographs()[photo], split, photo))
    monkeypatch.setattr('eqssl.datasets.photos.write_photos', lambda folder: pytest.fail('made again'))
    assert photos_folder() == folder and (folder / 'train_images.npy').stat().st_mtime_ns == made
