"""One extraction pass per image set, reused by every evaluation task."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.datasets.sources import Source
from eqssl.evaluation.regression import require_finite
from eqssl.evaluation.stream import Features, HeldImages, ImageStream
from eqssl.utils.errors import UserError

Encoder = Callable[[Tensor], dict[str, Tensor]]
Change = Callable[[Tensor, slice], Tensor]
BATCH_BYTES = 1 << 25
PIXELS = {'pixels': 64, 'small_pixels': 16}  # part -> largest side


def grid_pool(tokens: Tensor, cells: int) -> Tensor:
    """Patch tokens ``[n, N, D]`` averaged over ``cells x cells`` regions, ``[n, cells^2 D]``."""
    side = round(tokens.shape[1] ** 0.5)
    maps = tokens.transpose(1, 2).unflatten(2, (side, side))
    return F.adaptive_avg_pool2d(maps, min(cells, side)).flatten(1)


def usual_batch(size: int) -> int:
    """Images of one side that are encoded at once."""
    return 256 if torch.cuda.is_available() else min(256, max(8, BATCH_BYTES // (4 * 3 * size * size)))


def part_of(features: Features, part: str) -> Tensor:
    """One part of what :class:`FeatureStore` extracts, ``[n, D]``.

    Raises:
        UserError: the network has none of this name.
    """
    if part == 'cls_mean':
        return torch.cat([features['cls'], features['mean']], 1)
    if part not in features:
        known = ', '.join(dict.fromkeys([*features, 'cls_mean', *PIXELS]))
        raise UserError(f"evaluation: the network has no part '{part}'; it has {known}")
    return features[part]


class FeatureStore:
    """Features of the two splits, computed once; images are read in batches when they are needed and not kept.

    Every split stands in an order of its own, see :class:`ImageStream`.

    Parts: 'cls' (class token), 'mean' (of the patch tokens), 'cls_mean' (both), 'all' (class token and patch tokens
    pooled to a grid), 'inv', 'equi' (pooled to a grid) where the model has a neck; 'pixels' for raw pixels (averaged to
    64 x 64 where there are more) and 'small_pixels' for pixels averaged to 16 x 16 (probes).

    Args:
        encoder: images ``[n, 3, S, S]`` in [0, 1] to a dict of features (see ``SSLPretrainer.predict``).
        sources: split ('train', 'test') -> source.
        size: image side.
        limits: split -> largest number of images.
        cells: grid of pooled patch tokens: 1 is their mean, 2 keeps four quarters (small shifts vanish in a mean).
        batch_size: of extraction; None: 256, without a GPU fewer of large images (32 MB of pixels).
        num_workers: see :class:`ImageStream`.
        images: split -> images ``[n, 3, S, S]``, labels and latents in memory, in the place of sources.
    """

    def __init__(
        self,
        encoder: Encoder,
        sources: Mapping[str, Source],
        size: int,
        limits: Mapping[str, int | None] | None = None,
        cells: int = 2,
        batch_size: int | None = None,
        num_workers: int | None = None,
        images: Mapping[str, tuple[Tensor, Tensor, Tensor | None]] | None = None,
    ) -> None:
        self.encoder, self.cells, self.batch_size = encoder, cells, batch_size or usual_batch(size)
        limits = limits or {}
        self.splits: dict[str, ImageStream] = {
            split: ImageStream(split, source, size, limits.get(split), num_workers) for split, source in sources.items()
        }
        self.splits |= {split: HeldImages(*given) for split, given in (images or {}).items()}
        self._cache: dict[str, Features] = {}

    def with_encoder(self, encoder: Encoder) -> FeatureStore:
        """A store of another network over the same images."""
        other = copy.copy(self)
        other.encoder, other._cache = encoder, {}
        return other

    def labels(self, split: str) -> Tensor:
        """``[n]``, -1 without labels."""
        return self.splits[split].labels

    def latents(self, split: str) -> Tensor | None:
        """True parameters ``[n, L]``, None where the data has none."""
        return self.splits[split].latents

    def features(self, split: str, part: str) -> Tensor:
        """Features of the untransformed images, ``[n, D]`` on the CPU."""
        key = f'{split}/{part}' if part in PIXELS else split
        if key not in self._cache:
            found = self.splits[split].map(lambda images: self._parts(images, [part]), self.batch_size)
            self._check(found)
            self._cache[key] = found
        return part_of(self._cache[key], part)

    def transformed(
        self, split: str, changes: Mapping[str, Change], parts: Sequence[str], limit: int | None = None
    ) -> dict[str, Features]:
        """Features of changed images, in one pass: name of the change -> part -> ``[n, D]``.

        Args:
            split: of the images.
            changes: name -> images ``[b, 3, S, S]`` and their places to changed images.
            parts: that are kept.
            limit: only so many images, the first ones in their own order.
        """

        def work(images: Tensor, places: slice) -> Features:
            found = {}
            for name, change in changes.items():
                features = self._parts(change(images, places), parts)
                found.update({f'{name}\n{part}': part_of(features, part) for part in parts})
            return found

        found = self.splits[split].map_placed(work, self.batch_size, limit)
        self._check({key.replace('\n', '/'): values for key, values in found.items()})
        return {name: {part: found[f'{name}\n{part}'] for part in parts} for name in changes}

    @property
    def parts(self) -> list[str]:
        """Parts that the encoder gives."""
        self.features('test', 'cls')
        return list(self._cache['test'])

    @torch.no_grad()
    def _parts(self, images: Tensor, wanted: Sequence[str]) -> Features:
        """Every part of the encoder where one of them is wanted, pixels where they are."""
        found = {
            part: F.adaptive_avg_pool2d(images, min(PIXELS[part], *images.shape[2:]))
            for part in wanted
            if part in PIXELS
        }
        found = {part: values.flatten(1) for part, values in found.items()}
        if all(part in PIXELS for part in wanted):
            return found
        raw = self.encoder(images)
        found |= {'cls': raw['cls'], 'mean': raw['patch'].mean(1)}
        found |= {'all': torch.cat([raw['cls'], grid_pool(raw['patch'], self.cells)], 1)}
        if 'inv' in raw:
            found |= {'inv': raw['inv'], 'equi': grid_pool(raw['equi'], self.cells)}
        return {name: value.float().cpu() for name, value in found.items()}

    @staticmethod
    def _check(found: Features) -> None:
        for name, values in found.items():
            require_finite(f"evaluation: features '{name}'", values)
