"""One extraction pass per image set, reused by every evaluation task."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from PIL import Image
from torch import Tensor

from eqssl.datasets.image_reader import UnreadableImage
from eqssl.datasets.sources import content_key
from eqssl.evaluation.regression import require_finite
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from eqssl.datasets.sources import Source

Encoder = Callable[[Tensor], dict[str, Tensor]]
Images = tuple[Tensor, Tensor, Tensor | None]


def eval_image(image: np.ndarray, size: int, crop_ratio: float = 0.875) -> np.ndarray:
    """Resize the shorter side to ``size / crop_ratio`` (bicubic) and crop the center; small images are only resized.

    Args:
        image: ``[H, W, 3]`` uint8.
        size: output side.
    """
    height, width = image.shape[:2]
    if height == width == size:
        return image
    if min(height, width) <= size:
        crop_ratio = 1.0
    side = min(height, width) * crop_ratio
    x, y = (width - side) / 2, (height - side) / 2
    box = (x, y, x + side, y + side)
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC, box))


def grid_pool(tokens: Tensor, cells: int) -> Tensor:
    """Patch tokens ``[n, N, D]`` averaged over ``cells x cells`` regions, ``[n, cells^2 D]``."""
    side = round(tokens.shape[1] ** 0.5)
    maps = tokens.transpose(1, 2).unflatten(2, (side, side))
    return F.adaptive_avg_pool2d(maps, min(cells, side)).flatten(1)


def _chosen(source: Source, limit: int | None) -> list[int]:
    """Indices of at most ``limit`` images: those with the smallest keys, or spread evenly without keys."""
    count = len(source)
    if limit is None or limit >= count:
        return list(range(count))
    if not hasattr(source, 'key'):
        return np.linspace(0, count - 1, limit).astype(int).tolist()
    keys = np.array([source.key(index) for index in range(count)], dtype=np.uint64)
    return np.sort(np.argsort(keys, kind='stable')[:limit]).tolist()


def in_own_order(images: Tensor, labels: Tensor, latents: Tensor | None) -> Images:
    """Images sorted by a hash of their content (with label and latents), for a result that no order changes."""
    parts = [images.numpy(), labels.numpy()] + ([] if latents is None else [latents.numpy()])
    keys = [content_key(*(part[i].tobytes() for part in parts)) for i in range(len(images))]
    order = torch.from_numpy(np.argsort(np.array(keys, dtype=np.uint64), kind='stable'))
    return images[order], labels[order], None if latents is None else latents[order]


class FeatureStore:
    """Images in [0, 1] and features of the two splits, computed once.

    The images stand in an order of their own, by a hash of their content: every result is the same for any order of the
    data set, and the first n of them are a sample of all classes.

    Parts: 'cls' (class token), 'all' (class token and patch tokens pooled to a grid), 'inv', 'equi' (pooled to a grid)
    where the model has a neck, 'pixels' for raw pixels and 'small_pixels' for pixels averaged to 16 x 16 (probes).

    Args:
        encoder: images ``[n, 3, S, S]`` in [0, 1] to a dict of features (see ``SSLPretrainer.predict``).
        sources: split ('train', 'test') -> source.
        size: image side.
        limits: split -> largest number of images; which ones follows from themselves, not from where they stand.
        cells: grid of pooled patch tokens: 1 is their mean, 2 keeps four quarters (small shifts vanish in a mean).
        batch_size: of extraction.
    """

    def __init__(
        self,
        encoder: Encoder,
        sources: dict[str, Any],
        size: int,
        limits: dict[str, int | None] | None = None,
        cells: int = 2,
        batch_size: int = 256,
        images: dict[str, Images] | None = None,
    ) -> None:
        self.encoder, self.size, self.cells, self.batch_size = encoder, size, cells, batch_size
        limits = limits or {}
        given = images or {s: self._read(s, source, limits.get(s)) for s, source in sources.items()}
        self.data = {split: in_own_order(*data) for split, data in given.items()}
        self._cache: dict[str, dict[str, Tensor]] = {}

    def _read(self, split: str, source: Source, limit: int | None) -> Images:
        """Images ``[n, 3, S, S]`` in [0, 1], labels ``[n]``, latents ``[n, L]`` or None; unreadable ones left out."""
        images, labels, kept, unreadable = [], [], [], []
        for index in _chosen(source, limit):
            try:
                images.append(eval_image(source.load(index), self.size))
            except UnreadableImage as error:
                unreadable.append(f'{source.name(index)} ({error})')
                continue
            labels.append(source.label(index))
            kept.append(index)
        if not images:
            raise UserError(f'evaluation.{split}: no image can be read; the first is {unreadable[0]}')
        if unreadable:
            print_log(
                f'evaluation.{split}: {len(unreadable)} unreadable images left out, first {unreadable[0]}', 'current'
            )
        latents = getattr(source, 'latents', None)
        stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        return stacked.float() / 255, torch.tensor(labels), None if latents is None else torch.from_numpy(latents[kept])

    def with_encoder(self, encoder: Encoder) -> FeatureStore:
        """A store of another network over the same images."""
        other = copy.copy(self)
        other.encoder, other._cache = encoder, {}
        return other

    def images(self, split: str) -> Tensor:
        """``[n, 3, S, S]`` in [0, 1]."""
        return self.data[split][0]

    def labels(self, split: str) -> Tensor:
        """``[n]``, -1 without labels."""
        return self.data[split][1]

    def latents(self, split: str) -> Tensor | None:
        """True parameters ``[n, L]``, None where the data has none."""
        return self.data[split][2]

    def features(self, split: str, part: str) -> Tensor:
        """Features of the untransformed images, ``[n, D]`` on the CPU."""
        return self.of(split, self.images(split), part)

    def of(self, key: str, images: Tensor, part: str) -> Tensor:
        """Features of any images, extracted once per ``key``."""
        if part == 'pixels':
            return images.flatten(1)
        if part == 'small_pixels':
            return F.adaptive_avg_pool2d(images, min(16, self.size)).flatten(1)
        if key not in self._cache:
            self._cache[key] = self._extract(images)
        return self._cache[key][part]

    def forget(self, key: str) -> None:
        """Free the features of a key."""
        self._cache.pop(key, None)

    @property
    def parts(self) -> list[str]:
        """Parts that the encoder gives."""
        self.features('test', 'cls')
        return list(self._cache['test'])

    @torch.no_grad()
    def _extract(self, images: Tensor) -> dict[str, Tensor]:
        batches: dict[str, list[Tensor]] = {}
        for part in images.split(self.batch_size):
            raw = self.encoder(part)
            pooled = {'cls': raw['cls'], 'all': torch.cat([raw['cls'], grid_pool(raw['patch'], self.cells)], 1)}
            if 'inv' in raw:
                pooled['inv'] = raw['inv']
                pooled['equi'] = grid_pool(raw['equi'], self.cells)
            for name, value in pooled.items():
                batches.setdefault(name, []).append(value.float().cpu())
        features = {name: torch.cat(values) for name, values in batches.items()}
        for name, values in features.items():
            require_finite(f"evaluation: features '{name}'", values)
        return features
