"""Shared fixtures: small models, small images, one thread (two workers run side by side)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from PIL import Image

import eqssl  # noqa: F401  before mmpretrain, which any test may import first (see eqssl.install.environment)

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault('OMP_NUM_THREADS', '1')


@pytest.fixture(autouse=True)
def _quiet_and_seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    MMLogger.get_current_instance().setLevel(logging.ERROR)


def register_all() -> None:
    """All registries filled, as the front door does."""
    from mmengine.registry import init_default_scope

    import eqssl.augment
    import eqssl.datasets
    import eqssl.engine
    import eqssl.evaluation
    import eqssl.models  # noqa: F401

    init_default_scope('mmpretrain')


@pytest.fixture(scope='session')
def registered() -> None:
    """See :func:`register_all`."""
    register_all()


def write_images(folder: Path, count: int, size: int = 40, seed: int = 0) -> Path:
    """A folder of smooth random jpg images."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        small = rng.integers(0, 255, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(small).resize((size, size + i % 7), Image.Resampling.BICUBIC).save(folder / f'{i:03d}.jpg')
    return folder


@pytest.fixture(scope='session')
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 jpg images."""
    return write_images(tmp_path_factory.mktemp('images'), 32)
