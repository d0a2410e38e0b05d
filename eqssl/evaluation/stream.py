"""Images of an evaluation, read in batches whenever they are needed, and never all at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from eqssl.datasets.image_reader import UnreadableImage
from eqssl.datasets.sources import ArrayImages, Source, content_key
from eqssl.datasets.worker import init_worker
from eqssl.utils.errors import UserError

Features = dict[str, Tensor]
MANY = 2000  # files; from here on workers pay
MOST_WORKERS = 8


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


def chosen(source: Source, limit: int | None) -> list[int]:
    """Indices of at most ``limit`` images: those with the smallest keys, or spread evenly without keys."""
    count = len(source)
    if limit is None or limit >= count:
        return list(range(count))
    if not hasattr(source, 'key'):
        return np.linspace(0, count - 1, limit).astype(int).tolist()
    keys = np.array([source.key(index) for index in range(count)], dtype=np.uint64)
    return np.sort(np.argsort(keys, kind='stable')[:limit]).tolist()


def latents_of(source: Source) -> np.ndarray | None:
    """True parameters ``[n, L]`` of a source's images, None where it has none."""
    return getattr(source, 'latents', None)


def own_key(image: np.ndarray, label: int, latents: np.ndarray | None) -> int:
    """A number for the content of an image ``[3, S, S]`` float32 in [0, 1] with label and latents."""
    parts = [image.tobytes(), np.int64(label).tobytes()]
    return content_key(*parts, *([] if latents is None else [latents.tobytes()]))


def as_unit(images: np.ndarray) -> np.ndarray:
    """uint8 to float32 in [0, 1]."""
    return images.astype(np.float32) / np.float32(255)


class _Reader(Dataset):
    """Index -> (image ``[3, S, S]`` uint8, label, key or None), or what is wrong with it.

    Args:
        source: of the images.
        size: image side.
        keyed: whether keys are wanted; they cost a hash of every image.
    """

    def __init__(self, source: Source, size: int, keyed: bool) -> None:
        self.source, self.size, self.keyed = source, size, keyed
        self.latents = latents_of(source)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        try:
            image = eval_image(self.source.load(index), self.size)
        except UnreadableImage as error:
            return index, f'{self.source.name(index)} ({error})'
        values, label = np.ascontiguousarray(image.transpose(2, 0, 1)), self.source.label(index)
        if not self.keyed:
            return index, (values, label, None)
        latents = None if self.latents is None else self.latents[index]
        return index, (values, label, own_key(as_unit(values), label, latents))


def _collate(items: list[tuple[int, Any]]) -> dict[str, Any]:
    whole = [(index, found) for index, found in items if not isinstance(found, str)]
    return {
        'index': [index for index, _ in whole],
        'images': np.stack([found[0] for _, found in whole]) if whole else None,
        'labels': [found[1] for _, found in whole],
        'keys': [found[2] for _, found in whole],
        'unreadable': [found for _, found in items if isinstance(found, str)],
    }


class ImageStream:
    """One split: at most ``limit`` images of a source, each ``[3, S, S]`` in [0, 1].

    The images stand in an order of their own, by a hash of their content: every result is the same for any order of
    the data set, and the first n of them are a sample of all classes. The first pass finds that order; unreadable
    images are left out.

    Args:
        split: for messages.
        source: of the images.
        size: image side.
        limit: largest number of images; which ones follows from themselves, not from where they stand.
        num_workers: that read files; None: none for arrays and few images, else up to 8.
    """

    def __init__(
        self, split: str, source: Source, size: int, limit: int | None = None, num_workers: int | None = None
    ) -> None:
        self.split, self.source, self.size = split, source, size
        self.true = latents_of(source)
        self.index = chosen(source, limit)
        if num_workers is None:
            few = isinstance(source, ArrayImages) or len(self.index) < MANY
            num_workers = 0 if few else min(MOST_WORKERS, len(os.sched_getaffinity(0)))
        self.num_workers = num_workers
        self._labels: Tensor | None = None

    def batches(self, index: list[int], batch_size: int, keyed: bool = False) -> Iterator[dict[str, Any]]:
        """Images of these indices in this order, read by workers.

        Args:
            index: of the source.
            batch_size: images at once.
            keyed: with ``keys``, which their own order follows.

        Yields:
            ``images`` ``[b, 3, S, S]`` in [0, 1], None where none can be read; their ``index``, ``labels``, ``keys``;
            ``unreadable``: what is wrong with the others.
        """
        loader = DataLoader(
            _Reader(self.source, self.size, keyed), batch_size, sampler=index, num_workers=self.num_workers,
            collate_fn=_collate, worker_init_fn=init_worker if self.num_workers else None,
        )  # fmt: skip
        for batch in loader:
            images = batch['images']
            yield {**batch, 'images': None if images is None else torch.from_numpy(as_unit(images))}

    def map(self, work: Callable[[Tensor], Features], batch_size: int) -> Features:
        """What ``work`` makes of every image, ``[n, D]`` each, in the images' own order."""
        found: dict[str, list[Tensor]] = {}
        seen: dict[str, list[Any]] = {'index': [], 'labels': [], 'keys': [], 'unreadable': []}
        first = self._labels is None
        for batch in self.batches(self.index, batch_size, keyed=first):
            for name, values in seen.items():
                values += batch[name]
            if batch['images'] is not None:
                for name, value in work(batch['images']).items():
                    found.setdefault(name, []).append(value)
        features = {name: torch.cat(values) for name, values in found.items()}
        return self._arrange(seen, features) if first else features

    def _arrange(self, seen: dict[str, list[Any]], features: Features) -> Features:
        """Keep the order that the first pass found."""
        if not seen['index']:
            raise UserError(f'evaluation.{self.split}: no image can be read; the first is {seen["unreadable"][0]}')
        if seen['unreadable']:
            left_out = f'{len(seen["unreadable"])} unreadable images left out, first {seen["unreadable"][0]}'
            print_log(f'evaluation.{self.split}: {left_out}', 'current')
        order = np.argsort(np.array(seen['keys'], dtype=np.uint64), kind='stable')
        self.index = [seen['index'][i] for i in order]
        self._labels = torch.tensor([seen['labels'][i] for i in order])
        return {name: values[torch.from_numpy(order)] for name, values in features.items()}

    def _scan(self) -> None:
        """Find the order where no pass has."""
        if self._labels is None:
            self.map(lambda images: {}, 256)

    def map_placed(self, work: Callable[[Tensor, slice], Features], batch_size: int, limit: int | None) -> Features:
        """As :meth:`map` for the first ``limit`` images in their own order; ``work`` is told their places."""
        self._scan()
        found: dict[str, list[Tensor]] = {}
        start = 0
        for batch in self.batches(self.index[:limit], batch_size):
            images = batch['images']
            for name, value in work(images, slice(start, start + len(images))).items():
                found.setdefault(name, []).append(value)
            start += len(images)
        return {name: torch.cat(values) for name, values in found.items()}

    @property
    def labels(self) -> Tensor:
        """``[n]`` in the images' own order, -1 without labels."""
        self._scan()
        assert self._labels is not None
        return self._labels

    @property
    def latents(self) -> Tensor | None:
        """True parameters ``[n, L]``, None where the data has none."""
        if self.true is None:
            return None
        self._scan()
        return torch.from_numpy(self.true[self.index])


class HeldImages(ImageStream):
    """Images that stand in memory.

    Args:
        images: ``[n, 3, S, S]`` in [0, 1].
        labels: ``[n]``, -1 without.
        latents: ``[n, L]`` or None.
    """

    def __init__(self, images: Tensor, labels: Tensor, latents: Tensor | None = None) -> None:
        self.split, self.images, self.given = 'images', images, labels.tolist()
        self.true = None if latents is None else latents.numpy()
        self.index, self._labels = list(range(len(images))), None

    def batches(self, index: list[int], batch_size: int, keyed: bool = False) -> Iterator[dict[str, Any]]:
        """As :meth:`ImageStream.batches`."""
        for start in range(0, len(index), batch_size):
            part = index[start : start + batch_size]
            labels = [self.given[i] for i in part]
            found = {'index': part, 'images': self.images[part], 'labels': labels, 'unreadable': []}
            yield {**found, 'keys': [self._key(i) if keyed else None for i in part]}

    def _key(self, index: int) -> int:
        latents = None if self.true is None else self.true[index]
        return own_key(self.images[index].numpy(), self.given[index], latents)
