"""CPU side of the data path: sources, multi-crop, sampler, collate."""

from eqssl.datasets import named as _named  # noqa: F401  (what data_root may be called)
from eqssl.datasets.collate import collate_views
from eqssl.datasets.dataset import MultiViewDataset
from eqssl.datasets.masks import PatchMask
from eqssl.datasets.multicrop import MultiCrop, ViewSpec
from eqssl.datasets.sampler import PositionSampler
from eqssl.datasets.sources import ArrayImages, ImageFolder
from eqssl.datasets.worker import init_worker

__all__ = [
    'ArrayImages',
    'ImageFolder',
    'MultiCrop',
    'MultiViewDataset',
    'PatchMask',
    'PositionSampler',
    'ViewSpec',
    'collate_views',
    'init_worker',
]
