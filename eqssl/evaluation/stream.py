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


def own_key(image: np.ndarray, label: int, latents: np.ndarray | None) -> int:
    """A number for the content of an image ``[3, S, S]`` float32 in [0, 1] with label and latents."""
    parts = [image.tobytes(), np.int64(label).tobytes()]
    return content_key(*parts, *([] if latents is None else [latents.tobytes()]))


class _Reader(Dataset):
    """Index -> (image ``[3, S, S]`` float32 in [0, 1], label, key), or what is wrong with it."""

    def __init__(self, source: Source, size: int) -> None:
        self.source, self.size = source, size
        self.latents = getattr(source, 'latents', None)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        try:
            image = eval_image(self.source.load(index), self.size)
        except UnreadableImage as error:
            return index, f'{self.source.name(index)} ({error})'
        values = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        label = self.source.label(index)
        return index, (values, label, own_key(values, label, None if self.latents is None else self.latents[index]))


def _collate(items: list[tuple[int, Any]]) -> dict[str, Any]:
    whole = [(index, found) for index, found in items if not isinstance(found, str)]
    return {
        'index': [index for index, _ in whole],
        'images': torch.from_numpy(np.stack([found[0] for _, found in whole])) if whole else None,
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
        self.split, self.reader = split, _Reader(source, size)
        self.true = self.reader.latents
        self.index = chosen(source, limit)
        if num_workers is None:
            few = isinstance(source, ArrayImages) or len(self.index) < MANY
            num_workers = 0 if few else min(MOST_WORKERS, len(os.sched_getaffinity(0)))
        self.num_workers = num_workers
        self._labels: Tensor | None = None

    def batches(self, index: list[int], batch_size: int) -> Iterator[dict[str, Any]]:
        loader = DataLoader(
            self.reader, batch_size, sampler=index, num_workers=self.num_workers, collate_fn=_collate,
            worker_init_fn=init_worker if self.num_workers else None,
        )  # fmt: skip
        return iter(loader)

    def map(self, work: Callable[[Tensor], Features], batch_size: int) -> Features:
        """What ``work`` makes of every image, ``[n, D]`` each, in the images' own order."""
        found: dict[str, list[Tensor]] = {}
        seen: dict[str, list[Any]] = {'index': [], 'labels': [], 'keys': [], 'unreadable': []}
        for batch in self.batches(self.index, batch_size):
            for name, values in seen.items():
                values += batch[name]
            if batch['images'] is not None:
                for name, value in work(batch['images']).items():
                    found.setdefault(name, []).append(value)
        features = {name: torch.cat(values) for name, values in found.items()}
        return features if self._labels is not None else self._arrange(seen, features)

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

    def batches(self, index: list[int], batch_size: int) -> Iterator[dict[str, Any]]:
        for start in range(0, len(index), batch_size):
            part = index[start : start + batch_size]
            items = []
            for i in part:
                image = self.images[i].numpy()
                items.append((i, (image, self.given[i], own_key(image, self.given[i], self._latents_of(i)))))
            yield _collate(items)

    def _latents_of(self, index: int) -> np.ndarray | None:
        return None if self.true is None else self.true[index]
