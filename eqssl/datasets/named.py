"""Sets that ``data_root`` knows by name."""

from __future__ import annotations

from pathlib import Path

from eqssl.datasets.fetch import CIFAR10, CIFAR100, fetch_cifar
from eqssl.datasets.photos import photos_folder
from eqssl.registry import NAMED_DATA
from eqssl.utils.places import shipped


def objects_file() -> Path:
    """The embedded renders."""
    return shipped('demo', 'objects64.npz')


NAMED_DATA['photos'] = photos_folder
NAMED_DATA['objects'] = objects_file
NAMED_DATA['cifar10'] = lambda: fetch_cifar(CIFAR10)
NAMED_DATA['cifar100'] = lambda: fetch_cifar(CIFAR100)
