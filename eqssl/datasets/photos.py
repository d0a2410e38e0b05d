"""The embedded photographs: square windows of 100 small photographs, as arrays in the cache."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from eqssl.datasets.fetch import made_once
from eqssl.utils.places import shipped

SOURCE = shipped('demo', 'photos.npz')
WINDOWS = {'train': 130, 'test': 30}  # of each photograph
SHARE = (0.4, 1.0)  # of the shorter side of a photograph
SIDE = 32
VERSION = 1


def photographs(file: Path = SOURCE) -> list[Image.Image]:
    """All photographs, in order."""
    with np.load(file, allow_pickle=False) as arrays:
        data, ends = arrays['photos'].tobytes(), [0, *arrays['ends'].tolist()]
    return [Image.open(io.BytesIO(data[a:b])).convert('RGB') for a, b in zip(ends[:-1], ends[1:], strict=True)]


def windows(photo: Image.Image, split: str, number: int) -> np.ndarray:
    """The windows of a split, of random size and place; the two splits draw apart, but their windows may overlap.

    Args:
        photo: a photograph.
        split: 'train' or 'test'.
        number: of the photograph, part of the seed.

    Returns:
        ``[n, 32, 32, 3]`` uint8.
    """
    rng = np.random.default_rng([list(WINDOWS).index(split), number])
    cut = []
    for _ in range(WINDOWS[split]):
        side = int(min(photo.size) * rng.uniform(*SHARE))
        x, y = int(rng.integers(0, photo.width - side + 1)), int(rng.integers(0, photo.height - side + 1))
        cut.append(np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (x, y, x + side, y + side))))
    return np.stack(cut)


def write_photos(folder: Path) -> None:
    """``<split>_images.npy`` and ``<split>_labels.npy`` (the photograph), in a fixed random order."""
    photos = photographs()
    for seed, (split, count) in enumerate(WINDOWS.items()):
        images = np.concatenate([windows(photo, split, number) for number, photo in enumerate(photos)])
        labels = np.repeat(np.arange(len(photos)), count)
        order = np.random.default_rng(seed).permutation(len(labels))
        np.save(folder / f'{split}_images.npy', images[order])
        np.save(folder / f'{split}_labels.npy', labels[order])


def photos_folder() -> Path:
    """The arrays in the cache, made at the first call (some seconds)."""
    return made_once(f'photos-{VERSION}', write_photos)
