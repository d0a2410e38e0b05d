"""CPU side of the data path: sources, multi-crop, sampler, collate."""

from eqssl.augment import masks as _masks  # noqa: F401  (registers PatchMask, which runs in the data worker)
from eqssl.datasets.collate import collate_views
from eqssl.datasets.dataset import MultiViewDataset
from eqssl.datasets.multicrop import MultiCrop, ViewSpec
from eqssl.datasets.sampler import PositionSampler
from eqssl.datasets.sources import ArrayImages, ImageFolder
from eqssl.datasets.worker import init_worker

__all__ = [
    'ArrayImages',
    'ImageFolder',
    'MultiCrop',
    'MultiViewDataset',
    'PositionSampler',
    'ViewSpec',
    'collate_views',
    'init_worker',
]
