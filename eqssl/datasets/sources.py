"""Where images come from: a tree of files, or arrays on disk. A source maps an index to (RGB uint8 array, label)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np

from eqssl.datasets.image_reader import EXTENSIONS, read
from eqssl.registry import DATASETS
from eqssl.utils.errors import UserError


class Source(Protocol):
    """What a data set reads from."""

    def __len__(self) -> int: ...

    def load(self, index: int) -> np.ndarray:
        """``[H, W, 3]`` uint8 RGB; raises UnreadableImage."""

    def label(self, index: int) -> int:
        """Class number, -1 without labels."""

    def name(self, index: int) -> str:
        """How messages call this image."""


def _list_images(root: Path) -> list[str]:
    """Relative paths of all image files below ``root``, sorted, so that an index means the same image everywhere."""
    found = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders.sort()
        for file in files:
            if file.lower().endswith(EXTENSIONS) and not file.startswith('.'):
                found.append(os.path.relpath(os.path.join(folder, file), root))
    return sorted(found)


@DATASETS.register_module()
class ImageFolder:
    """All images of a folder tree, flat or nested.

    Args:
        data_root: the folder (config key ``data_root``).
        with_label: take the first folder below ``data_root`` as the class, in sorted order.
        part: 'all', or a fixed split in which every fifth file is a 'test' image and the others are 'train' images.
        classes: the class names in order; a folder that is not among them is an error, so that a training and a
            validation tree cannot number their classes differently.

    Raises:
        UserError: no such folder, no image in it, or an unknown class folder.
    """

    def __init__(
        self, data_root: str, with_label: bool = False, classes: list[str] | None = None, part: str = 'all'
    ) -> None:
        self.root = Path(data_root).expanduser()
        if not self.root.is_dir():
            raise UserError(
                f"data_root '{data_root}' is not a folder; set it with --cfg-options data_root=/path/to/images"
            )
        self.files = _list_images(self.root)
        if not self.files:
            raise UserError(
                f"data_root '{data_root}' holds no image ({', '.join(e[1:] for e in EXTENSIONS)}) at any depth"
            )
        if part not in ('all', 'train', 'test'):
            raise UserError(f"part='{part}' is none of 'all', 'train', 'test'")
        if part != 'all':  # a fixed split for evaluation: every fifth file is a test image
            self.files = [f for i, f in enumerate(self.files) if (i % 5 == 4) == (part == 'test')]
        self.labels: np.ndarray = np.full(len(self.files), -1, dtype=np.int64)
        self.classes = classes or []
        if with_label:
            self._assign_labels(classes)

    def _assign_labels(self, classes: list[str] | None) -> None:
        folders = [file.split(os.sep)[0] if os.sep in file else '' for file in self.files]
        if '' in folders:
            raise UserError(
                f"with_label=True, but '{self.files[folders.index('')]}' lies directly in data_root '{self.root}'; "
                'put every image in the folder of its class, or set with_label=False'
            )
        self.classes = classes or sorted(set(folders))
        number = {name: i for i, name in enumerate(self.classes)}
        unknown = sorted(set(folders) - set(number))
        if unknown:
            raise UserError(f"folder '{unknown[0]}' in data_root '{self.root}' is not in the config key classes")
        self.labels = np.array([number[folder] for folder in folders], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> np.ndarray:
        """Decode one image, ``[H, W, 3]`` uint8 RGB."""
        return read(self.root / self.files[index])

    def label(self, index: int) -> int:
        """Class number, -1 without labels."""
        return int(self.labels[index])

    def name(self, index: int) -> str:
        """Path of the file."""
        return str(self.root / self.files[index])


@DATASETS.register_module()
class ArrayImages:
    """Images in arrays: ``<data_root>/<split>_images.npy`` (memory-mapped), or one ``.npz`` with the same names.

    Args:
        data_root: folder or npz file with ``<split>_images`` ``[n, H, W, 3]`` uint8, ``<split>_labels`` ``[n]`` and,
            where the data has them, ``<split>_latents`` ``[n, L]`` (true parameters of each image).
        split: 'train', 'test', ...
        start, stop: use images ``start`` to ``stop`` only (to tune on a part of the training set).

    Raises:
        UserError: missing file or array, or arrays that do not fit together.
    """

    def __init__(self, data_root: str, split: str = 'train', start: int = 0, stop: int | None = None) -> None:
        self.root, self.split, self.start = str(data_root), split, start
        path = Path(data_root).expanduser()
        if path.suffix == '.npz' and path.is_file():
            archive = np.load(path, allow_pickle=False)
            arrays = {k: archive[k] for k in archive.files if k.startswith(f'{split}_')}
        elif path.is_dir():
            arrays = {f.stem: np.load(f, mmap_mode='r') for f in sorted(path.glob(f'{split}_*.npy'))}
        else:
            raise UserError(f"data_root '{data_root}' is neither a folder of .npy files nor a .npz file")
        if f'{split}_images' not in arrays or len(arrays[f'{split}_images']) == 0:
            raise UserError(f"data_root '{data_root}' holds no '{split}_images' (or an empty one)")
        part = slice(start, stop)
        self.images = arrays[f'{split}_images'][part]
        count = len(self.images)
        self.labels = np.asarray(arrays.get(f'{split}_labels', np.full(start + count, -1)))[part].astype(np.int64)
        latents = arrays.get(f'{split}_latents')
        self.latents = None if latents is None else np.asarray(latents, dtype=np.float32)[part]
        if len(self.labels) != count or (self.latents is not None and len(self.latents) != count):
            raise UserError(f"data_root '{data_root}': the arrays of split '{split}' have different lengths")

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int) -> np.ndarray:
        """One image, ``[H, W, 3]`` uint8 RGB."""
        return np.ascontiguousarray(self.images[index])

    def label(self, index: int) -> int:
        """Class number, -1 without labels."""
        return int(self.labels[index])

    def name(self, index: int) -> str:
        """Place in the array."""
        return f'{self.root}:{self.split}[{self.start + index}]'
