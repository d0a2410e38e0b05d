"""Where images come from: a tree of files, or arrays on disk. A source maps an index to (RGB uint8 array, label)."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Protocol

import numpy as np
from mmengine.logging import print_log

from eqssl.datasets.image_reader import EXTENSIONS, read
from eqssl.datasets.listing import Listing, list_images, printable
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

    # Optional: ``key(index)``, a number that says which images a limited evaluation takes, whatever their order.


def part_of(count: int, part: str) -> np.ndarray:
    """Indices of a part of ``count`` images: 'all', every fifth one ('test'), or the others ('train').

    Raises:
        UserError: an unknown part, or one without an image.
    """
    if part not in ('all', 'train', 'test'):
        raise UserError(f"part='{part}' is none of 'all', 'train', 'test'")
    index = np.arange(count)
    if part == 'all':
        return index
    chosen = index[(index % 5 == 4) == (part == 'test')]
    if len(chosen) == 0:
        raise UserError(f"part='{part}' of {count} images is empty: every fifth image is a test image; give at least 5")
    return chosen


def content_key(*values: bytes) -> int:
    """A 64-bit number for some bytes: an order that depends on what images are, not on where they stand."""
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        digest.update(value)
    return int.from_bytes(digest.digest())


@DATASETS.register_module()
class ImageFolder:
    """All images of a folder tree, flat or nested.

    Hidden files and folders are no data; links to folders are followed, each real folder once. What was left out is
    counted and said.

    Args:
        data_root: the folder (config key ``data_root``).
        with_label: take the first folder below ``data_root`` as the class, in sorted order; 'auto' does so where every
            image lies in one of several. Numbers are given to the classes of the whole tree, whatever ``part`` of it
            is read.
        part: 'all', or a fixed split in which every fifth file is a 'test' image and the others are 'train' images.
        classes: the class names in order; a folder that is not among them is an error, so that a training and a
            validation tree cannot number their classes differently.
        white: the value that is white in images of more than 8 bits: 4095 for 12-bit data in 16-bit files. By default
            the largest value of the samples' type.

    Raises:
        UserError: no such folder, no image in it, or an unknown class folder.
    """

    def __init__(
        self,
        data_root: str,
        with_label: bool | str = False,
        classes: list[str] | None = None,
        part: str = 'all',
        white: float | None = None,
    ) -> None:
        self.root = Path(data_root).expanduser()
        if white is not None and not (isinstance(white, (int, float)) and white > 0):
            raise UserError(f'white={white!r} must be a positive number')
        if classes is not None and (isinstance(classes, str) or len(set(classes)) < len(classes)):
            raise UserError(f'classes={classes!r} must be a list of different names')
        self.white = white
        files = self._list(data_root).files
        if with_label not in (True, False, 'auto'):
            raise UserError(f"with_label={with_label!r} is none of True, False, 'auto'")
        if with_label == 'auto':
            with_label = len({file.partition(os.sep)[0] for file in files}) > 1 and all(
                os.sep in file for file in files
            )
        folders = self._class_folders(files) if with_label else []
        self.classes: list[str] = list(classes or sorted(set(folders)))
        index = part_of(len(files), part)
        self.files = [files[i] for i in index]
        self.labels: np.ndarray = np.full(len(self.files), -1, dtype=np.int64)
        if with_label:
            number = {name: i for i, name in enumerate(self.classes)}
            unknown = sorted(set(folders) - set(number))
            if unknown:
                raise UserError(
                    f"folder '{printable(unknown[0])}' in data_root '{self.root}' is not in the config key classes"
                )
            self.labels = np.array([number[folders[i]] for i in index], dtype=np.int64)

    def _list(self, data_root: str) -> Listing:
        if not self.root.is_dir():
            raise UserError(
                f"data_root '{data_root}' is not a folder; set it with --cfg-options data_root=/path/to/images"
            )
        try:
            listing = list_images(self.root)
        except OSError as error:
            raise UserError(f"data_root: folder '{error.filename}' cannot be listed ({error.strerror})") from error
        left_out = listing.left_out()
        if not listing.files:
            raise UserError(
                f"data_root '{data_root}' holds no image ({', '.join(e[1:] for e in EXTENSIONS)}) at any depth"
                + (f'; left out: {left_out}' if left_out else '')
            )
        if left_out:
            print_log(f"data_root '{data_root}': {len(listing.files)} images; left out: {left_out}", 'current')
        return listing

    def _class_folders(self, files: list[str]) -> list[str]:
        folders = [file.split(os.sep)[0] if os.sep in file else '' for file in files]
        if '' in folders:
            raise UserError(
                f"with_label=True, but '{printable(files[folders.index('')])}' lies directly in data_root "
                f"'{self.root}'; put every image in the folder of its class, or set with_label=False"
            )
        return folders

    def renumber(self, classes: list[str]) -> None:
        """Number the classes as another source does.

        Raises:
            UserError: a class of this source is not among them.
        """
        if not (self.labels >= 0).any() or self.classes == classes:
            return
        missing = sorted({self.classes[i] for i in np.unique(self.labels)} - set(classes))
        if missing:
            raise UserError(
                f"data_root '{self.root}' has class '{printable(missing[0])}', which is not among the classes that it "
                f'is compared with ({", ".join(map(printable, classes[:5]))}{", ..." if len(classes) > 5 else ""})'
            )
        place = {name: i for i, name in enumerate(classes)}
        new = np.array([place.get(name, -1) for name in self.classes], dtype=np.int64)
        self.labels, self.classes = new[self.labels], list(classes)

    def __len__(self) -> int:
        return len(self.files)

    def load(self, index: int) -> np.ndarray:
        """Decode one image, ``[H, W, 3]`` uint8 RGB."""
        return read(self.root / self.files[index], self.white)

    def label(self, index: int) -> int:
        """Class number, -1 without labels."""
        return int(self.labels[index])

    def name(self, index: int) -> str:
        """Path of the file."""
        return printable(str(self.root / self.files[index]))

    def key(self, index: int) -> int:
        """A number that does not depend on the other images."""
        return content_key(os.fsencode(self.files[index]))


def _open_arrays(data_root: str, split: str) -> dict[str, np.ndarray]:
    """The arrays of a split by name."""
    path = Path(data_root).expanduser()
    try:
        if path.suffix == '.npz' and path.is_file():
            archive = np.load(path, allow_pickle=False)
            return {k: archive[k] for k in archive.files if k.startswith(f'{split}_')}
        if path.is_dir():
            return {f.stem: np.load(f, mmap_mode='r') for f in sorted(path.glob(f'{split}_*.npy'))}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = ' '.join(str(error).split())
        raise UserError(f"data_root '{data_root}': an array cannot be read ({reason})") from error
    raise UserError(f"data_root '{data_root}' is neither a folder of .npy files nor a .npz file")


@DATASETS.register_module()
class ArrayImages:
    """Images in arrays: ``<data_root>/<split>_images.npy`` (memory-mapped), or one ``.npz`` with the same names.

    Args:
        data_root: folder or npz file with ``<split>_images`` ``[n, H, W, 3]`` uint8, ``<split>_labels`` ``[n]`` and,
            where the data has them, ``<split>_latents`` ``[n, L]`` (true parameters of each image).
        split: 'train', 'test', ...
        start, stop: use images ``start`` to ``stop`` only (to tune on a part of the training set).
        part: of those, 'all', every fifth ('test') or the others ('train').

    Raises:
        UserError: missing file or array, or arrays that do not fit together.
    """

    def __init__(
        self, data_root: str, split: str = 'train', start: int = 0, stop: int | None = None, part: str = 'all'
    ) -> None:
        self.root, self.split = str(data_root), split
        arrays = _open_arrays(data_root, split)
        if f'{split}_images' not in arrays or arrays[f'{split}_images'].size == 0:
            raise UserError(f"data_root '{data_root}' holds no '{split}_images' (or an empty one)")
        self.images = arrays[f'{split}_images']
        self.index = np.arange(len(self.images))[start:stop]
        if len(self.index) == 0:
            raise UserError(f'start={start}, stop={stop} leave none of {len(self.images)} images')
        self.index = self.index[part_of(len(self.index), part)]
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] != 3:
            raise UserError(
                f"data_root '{data_root}': '{split}_images' is {self.images.dtype} {self.images.shape}; uint8 "
                '[n, height, width, 3] (RGB) is read'
            )
        labels, latents = arrays.get(f'{split}_labels'), arrays.get(f'{split}_latents')
        if any(x is not None and len(x) != len(self.images) for x in (labels, latents)):
            raise UserError(f"data_root '{data_root}': the arrays of split '{split}' have different lengths")
        count = len(self.index)
        self.labels = np.full(count, -1) if labels is None else np.asarray(labels)[self.index].astype(np.int64)
        self.latents = None if latents is None else np.asarray(latents, dtype=np.float32)[self.index]

    def __len__(self) -> int:
        return len(self.index)

    def load(self, index: int) -> np.ndarray:
        """One image, ``[H, W, 3]`` uint8 RGB."""
        return np.ascontiguousarray(self.images[self.index[index]])

    def label(self, index: int) -> int:
        """Class number, -1 without labels."""
        return int(self.labels[index])

    def name(self, index: int) -> str:
        """Place in the array."""
        return f'{self.root}:{self.split}[{self.index[index]}]'

    def key(self, index: int) -> int:
        """A number that depends on the image alone, not on its place."""
        return content_key(self.load(index).tobytes(), self.labels[index].tobytes())
