"""The pre-training data set: source, views and masks, all drawn from (seed, position)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from eqssl.augment.crops import DeviceImages, fits_device
from eqssl.datasets.image_reader import UnreadableImage
from eqssl.datasets.sources import ArrayImages, Source
from eqssl.registry import DATASETS, TRANSFORMS
from eqssl.utils import counters
from eqssl.utils.errors import UserError, at_key
from eqssl.utils.randomness import sample_key, sample_rng

MAX_REPLACEMENTS = 100


@DATASETS.register_module()
class MultiViewDataset(Dataset):
    """Multi-crop views of the images of a source.

    An unreadable image is replaced by another one, drawn from the same (seed, position), and reported in the sample;
    :class:`eqssl.engine.UnreadableImagesHook` counts, lists and limits them.

    Args:
        source: config of a source (``eqssl.ImageFolder``, ``eqssl.ArrayImages``, ...) or a source.
        views: config of the view transform (``eqssl.MultiCrop``).
        mask: config of the mask drawer (``eqssl.PatchMask``); None draws none.
        mask_group: the size group that is masked.
        seed: of all draws. tools/train.py sets it from ``randomness.seed``.
        saliency: .npy file with a map ``[n, h, w]`` for every image of the source, for ``views.salient``.
        cut: where crops are cut: by the data 'worker', or on the 'device', which then holds all images (sources of
            arrays only; the same draws, pixels within one gray level). 'auto' is 'device' where the images take at most
            a tenth of a GPU's memory.
    """

    def __init__(
        self,
        source: dict | Source,
        views: dict,
        mask: dict | None = None,
        mask_group: str = 'global',
        seed: int = 0,
        saliency: str | None = None,
        cut: str = 'auto',
    ) -> None:
        self.mask_group, self.seed = mask_group, seed
        with at_key('train_dataloader.dataset'):
            with at_key('source'):
                self.source: Any = DATASETS.build(source) if isinstance(source, dict) else source
            with at_key('views'):
                self.views = TRANSFORMS.build(views)
            with at_key('mask'):
                self.mask = TRANSFORMS.build(mask) if mask is not None else None
            if self.mask is not None and mask_group not in self.views.groups:
                raise UserError(f"mask_group='{mask_group}' is not a group of views ({', '.join(self.views.groups)})")
            self.saliency = self._open_saliency(saliency)
            self.on_device = self._cuts_on_device(cut)
        self.metainfo = {'classes': getattr(self.source, 'classes', None)}

    def __len__(self) -> int:
        return len(self.source)

    def _cuts_on_device(self, cut: str) -> bool:
        if cut not in ('auto', 'worker', 'device'):
            raise UserError(f"cut='{cut}' is none of 'auto', 'worker', 'device'")
        arrays = isinstance(self.source, ArrayImages)
        if cut == 'device' and not arrays:
            raise UserError(
                "cut='device' needs images in arrays (source=dict(type='eqssl.ArrayImages')); "
                "files are cut by the workers (cut='worker')"
            )
        return arrays and (cut == 'device' or (cut == 'auto' and fits_device(self.source.images)))

    def device_images(self) -> DeviceImages | None:
        """What cuts the crops on the device, None where the workers do."""
        if not self.on_device:
            return None
        sizes = {name: specs[0].size for name, specs in self.views.groups.items()}
        return DeviceImages(np.ascontiguousarray(self.source.images[self.source.index]), sizes, self.views.backend)

    def _open_saliency(self, file: str | None) -> np.ndarray | None:
        """Saliency maps, one for each image."""
        wanted = getattr(self.views, 'salient', 0) > 0
        if file is None:
            if wanted:
                raise UserError(
                    f'views.salient={self.views.salient} needs train_dataloader.dataset.saliency; make the file with '
                    'eqssl saliency'
                )
            return None
        if not Path(file).is_file():
            raise UserError(f"saliency='{file}' is not a file; make it with eqssl saliency")
        maps = np.load(file, mmap_mode='r', allow_pickle=False)
        if maps.ndim != 3 or len(maps) != len(self.source):
            raise UserError(
                f"saliency='{file}' has shape {maps.shape}, expected a map for each of the {len(self.source)} images"
            )
        return maps

    def _load(self, index: int, position: int) -> tuple[np.ndarray, int, list[tuple[str, str]]]:
        """The image, its index, and what was unreadable on the way to it."""
        unreadable: list[tuple[str, str]] = []
        rng = None
        for _ in range(MAX_REPLACEMENTS):
            try:
                counters.count('decodes')
                return self.source.load(index), index, unreadable
            except UnreadableImage as error:
                unreadable.append((self.source.name(index), str(error)))
                rng = rng or sample_rng(self.seed, position, 'replacement')
                index = int(rng.integers(len(self.source)))
        name, why = unreadable[0]
        raise UserError(f"data_root: {MAX_REPLACEMENTS} images in a row are unreadable, the first '{name}' ({why})")

    def _views(self, index: int, position: int) -> tuple[dict[str, dict[str, np.ndarray]], int, list[tuple[str, str]]]:
        """Views (their parameters alone where the device cuts them), the image's index, what was unreadable."""
        rng = sample_rng(self.seed, position, 'views')
        if self.on_device:
            saliency = None if self.saliency is None else self.saliency[index]
            return self.views.draw(rng, *self.source.images.shape[1:3], saliency), index, []
        image, index, unreadable = self._load(index, position)
        saliency = None if self.saliency is None else self.saliency[index]
        return self.views(image, rng, saliency), index, unreadable

    def __getitem__(self, item: tuple[int, int]) -> dict[str, Any]:
        """One sample.

        Args:
            item: (index, position) from :class:`eqssl.datasets.PositionSampler`.

        Returns:
            ``groups`` (see :class:`MultiCrop`), ``masks`` ``[V, N]`` bool or None, ``max_masked`` (static bound),
            ``index``, ``key``, ``label``, ``unreadable`` list of (name, reason).
        """
        index, position = item
        groups, index, unreadable = self._views(index, position)
        masks, bound = None, 0
        if self.mask is not None:
            views = len(self.views.groups[self.mask_group])
            masks = self.mask(sample_rng(self.seed, position, 'mask'), views, position // len(self))
            bound = self.mask.max_masked(views)
        return {
            'groups': groups,
            'masks': masks,
            'max_masked': bound,
            'index': index,
            'key': sample_key(self.seed, position),
            'label': self.source.label(index),
            'unreadable': unreadable,
        }
