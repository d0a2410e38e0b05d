"""Embeddings of one's own images by a pre-trained backbone, with their paths."""

from __future__ import annotations

import ast
import csv
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from eqssl.datasets.sources import ImageFolder
from eqssl.downstream.export import Network, open_network
from eqssl.evaluation.feature_store import part_of, usual_batch
from eqssl.evaluation.stream import ImageStream
from eqssl.experiment import Experiment, write
from eqssl.experiment.record import describe_data, hardware, now, versions
from eqssl.utils.errors import UserError

CONV_SIDE = 224  # of images for a ResNet, which takes any


def parts_of(features: Tensor) -> dict[str, Tensor]:
    """Class token and mean of the patches of ``[B, 1 + N, D]`` (ViT); both the mean of ``[B, D, h, w]`` (ResNet)."""
    if features.ndim == 4:
        return dict.fromkeys(('cls', 'mean'), features.mean((2, 3)))
    return {'cls': features[:, 0], 'mean': features[:, 1:].mean(1)}


def side_of(network: Network, size: int | None) -> int:
    """Side of the images: as asked, or what the network was pre-trained with.

    Raises:
        UserError: no whole number of patches.
    """
    chosen = size if size is not None else network.side if network.is_vit else CONV_SIDE
    patch = network.module.patch_size if network.is_vit else 1
    if chosen < 1 or chosen % patch:
        why = f'no multiple of the patch size {patch}' if network.is_vit else 'no side of an image'
        raise UserError(f'--size {chosen} is {why}')
    return chosen


class Embedder:
    """A network with its normalization.

    Args:
        checkpoint: of this project; the network is built from the config inside.
        branch: 'teacher' or 'student'; None: the teacher where there is one.
        part: 'cls', 'mean' or 'cls_mean', see :class:`~eqssl.evaluation.FeatureStore`.
    """

    def __init__(self, checkpoint: str, branch: str | None = None, part: str = 'cls') -> None:
        self.part, self.network = part, open_network(checkpoint, branch)
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self.network.module.to(self.device)
        mean, std = (torch.tensor(ast.literal_eval(self.network.meta[key])) for key in ('mean', 'std'))
        self.mean, self.std = (value.view(1, 3, 1, 1).to(self.device) for value in (mean, std))

    def __call__(self, images: Tensor) -> np.ndarray:
        """``[B, 3, S, S]`` in [0, 1] to ``[B, D]`` float32."""
        features = self.network.features((images.to(self.device) - self.mean) / self.std)
        return part_of(parts_of(features), self.part).float().cpu().numpy()


def _bar() -> Progress:
    columns = (TextColumn('embedding'), BarColumn(), MofNCompleteColumn(), TextColumn('{task.speed:.3g} images/s'))
    return Progress(*columns, TimeRemainingColumn(), disable=not sys.stderr.isatty())


def embed(
    checkpoint: str,
    folder: str,
    out: Path,
    part: str = 'cls',
    branch: str | None = None,
    size: int | None = None,
    dtype: str = 'float32',
    num_workers: int | None = None,
) -> Experiment:
    """Write ``embeddings.npy`` ``[n, D]``, ``images.csv`` (row, path in the folder) and ``experiment.json``.

    Unreadable images are left out and named in ``unreadable.csv``. The whole folder is written, or nothing.

    Args:
        checkpoint: of this project.
        folder: with images at any depth.
        out: a folder that does not exist, or is empty.
        part, branch: see :class:`Embedder`.
        size: side of the images; None: as in pre-training, 224 for a ResNet.
        dtype: of the file.
        num_workers: that read images.

    Raises:
        UserError: ``out`` is in use, no image, a checkpoint that is none, a size that does not fit, or features that
            are not finite.
    """
    if num_workers is not None and num_workers < 0:
        raise UserError(f'--workers {num_workers} is negative')
    if not Path(folder).is_dir():
        raise UserError(f"'{folder}' is not a folder")
    out = out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out '{out}' exists and is not empty; choose another folder")
    embedder, begun = Embedder(checkpoint, branch, part), now()
    side = side_of(embedder.network, size)
    source = ImageFolder(folder)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(dir=out.parent, prefix=f'.{out.name}.'))
    except OSError as error:
        raise UserError(f"--out '{out}' cannot be written ({error.strerror})") from error
    try:
        count, width = _write_rows(embedder, source, side, staged, dtype, num_workers)
        record = Experiment(
            name=Path(checkpoint).stem,
            kind='embedding',
            begun=begun,
            config={
                'checkpoint': checkpoint,
                'part': part,
                'size': str(side),
                'hash': embedder.network.stem('model')[-8:],
            },
            data=describe_data(source, folder),
            versions=versions(),
            hardware=hardware(),
            results={'embeddings': {'rows': count, 'width': width}},
        )
        write(staged / 'experiment.json', record)
        if out.is_dir():
            out.rmdir()  # an empty one
        staged.chmod(0o755)
        staged.rename(out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return record


def _write_rows(
    embedder: Embedder, source: ImageFolder, side: int, folder: Path, dtype: str, num_workers: int | None
) -> tuple[int, int]:
    """All embeddings in the order of the files; returns their number and width."""
    stream = ImageStream('images', source, side, num_workers=num_workers)
    rows: np.ndarray | None = None
    kept: list[int] = []
    unreadable: list[str] = []
    with _bar() as bar:
        task = bar.add_task('', total=len(source))
        for batch in stream.batches(stream.index, usual_batch(side)):
            unreadable += batch['unreadable']
            if batch['images'] is not None:
                found = embedder(batch['images'])
                if not np.isfinite(found).all():
                    raise UserError(f"features of '{source.files[batch['index'][0]]}' or one after it are not finite")
                if rows is None:
                    shape = (len(source), found.shape[1])
                    rows = np.lib.format.open_memmap(folder / 'all.npy', 'w+', np.dtype(dtype), shape)
                rows[len(kept) : len(kept) + len(found)] = found
                kept += batch['index']
            bar.advance(task, len(batch['index']) + len(batch['unreadable']))
    if rows is None:
        raise UserError(f"no image in '{source.root}' can be read; the first is {unreadable[0]}")
    _finish_rows(rows, len(kept), folder)
    _write_csv(folder / 'images.csv', ('row', 'path'), list(enumerate(source.files[i] for i in kept)))
    if unreadable:
        _write_csv(folder / 'unreadable.csv', ('image',), [(name,) for name in unreadable])
        print(f'{len(unreadable)} unreadable images left out (unreadable.csv), the first {unreadable[0]}', flush=True)
    return len(kept), rows.shape[1]


def _finish_rows(rows: np.ndarray, count: int, folder: Path) -> None:
    """``all.npy`` as ``embeddings.npy``, without the rows of unreadable images at its end."""
    if count == len(rows):
        (folder / 'all.npy').rename(folder / 'embeddings.npy')
        return
    short = np.lib.format.open_memmap(folder / 'embeddings.npy', 'w+', rows.dtype, (count, rows.shape[1]))
    for start in range(0, count, 65536):
        short[start : start + 65536] = rows[start : min(start + 65536, count)]
    (folder / 'all.npy').unlink()


def _write_csv(file: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    with open(file, 'w', newline='', encoding='utf-8', errors='surrogateescape') as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
