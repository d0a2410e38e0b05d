"""Pack what a GPU machine without network needs: ``python tools/gpu/pack.py .gpu`` before, ``--unpack`` there.

``.gpu/wheels``: the packages of this project that such a machine lacks (it has Python 3.12, torch, OpenCV, Matplotlib);
mmengine, mmcv without compiled operators and mmpretrain are built from source, the others downloaded.
``.gpu/cifar10``: the first images of both splits, lossless WebP, and all of their labels. 60 MB at most.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from eqssl.utils.errors import UserError, run_cli

ROOT = Path(__file__).resolve().parents[2]
BUILT = ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain')
DOWNLOADED = ('addict', 'mat4py', 'model-index', 'ordered-set', 'platformdirs', 'simplejpeg', 'termcolor', 'yapf')
PLATFORMS = ('manylinux_2_28_x86_64', 'manylinux_2_27_x86_64', 'manylinux_2_17_x86_64', 'manylinux2014_x86_64')
TILE, COLUMNS, LIMIT, MARK = 1000, 50, 60e6, 'PACK'


def pinned(names: tuple[str, ...]) -> list[str]:
    """The versions of requirements/constraints.txt."""
    lines = (ROOT / 'requirements' / 'constraints.txt').read_text().split()
    versions = dict(line.split('==') for line in lines if '==' in line)
    return [f'{name}=={versions[name]}' for name in names if name in versions] + [n for n in names if n not in versions]


def pip(*arguments: str) -> None:
    """Run pip of this Python."""
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q', *arguments]
    if subprocess.run(command, check=False, env={**os.environ, 'MMCV_WITH_OPS': '0'}).returncode:
        raise UserError(f'pip failed: {" ".join(command)}')


def pack_wheels(folder: Path) -> None:
    """Wheels for Python 3.12 on x86-64 Linux."""
    platforms = [flag for name in PLATFORMS for flag in ('--platform', name)]
    pip('wheel', '--no-deps', '-w', str(folder), *pinned(BUILT))
    binary = ['--only-binary=:all:', '--python-version', '3.12', '--implementation', 'cp', *platforms]
    pip('download', '--no-deps', *binary, '-d', str(folder), *pinned(DOWNLOADED))


def to_mosaic(images: np.ndarray) -> Image.Image:
    """``[n, S, S, 3]`` (n a multiple of the columns) to one picture, neighbors side by side."""
    n, side = images.shape[:2]
    tiles = images.reshape(n // COLUMNS, COLUMNS, side, side, 3).transpose(0, 2, 1, 3, 4)
    return Image.fromarray(np.ascontiguousarray(tiles).reshape(n // COLUMNS * side, COLUMNS * side, 3))


def from_mosaic(picture: Image.Image, side: int = 32) -> np.ndarray:
    """Inverse of :func:`to_mosaic`."""
    pixels = np.asarray(picture.convert('RGB'))
    rows = pixels.shape[0] // side
    tiles = pixels.reshape(rows, side, COLUMNS, side, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiles).reshape(-1, side, side, 3)


def pack_images(source: Path, folder: Path, counts: dict[str, int]) -> None:
    """The first images of each split."""
    for split, count in counts.items():
        images = np.load(source / f'{split}_images.npy', mmap_mode='r')[:count]
        if len(images) < count or count % TILE:
            raise UserError(f'--images: {split} must be a multiple of {TILE} and at most {len(images)}')
        np.save(folder / f'{split}_labels.npy', np.load(source / f'{split}_labels.npy')[:count])
        for start in range(0, count, TILE):
            picture = to_mosaic(np.asarray(images[start : start + TILE]))
            picture.save(folder / f'{split}_{start:05d}.webp', lossless=True, quality=50, method=4)
            print(f'\r{split}: {start + TILE}/{count} images', end='', file=sys.stderr, flush=True)
        print(file=sys.stderr)


def unpack(folder: Path, target: Path) -> None:
    """``<target>/<split>_images.npy`` and labels, as ``eqssl.ArrayImages`` reads them."""
    target.mkdir(parents=True, exist_ok=True)
    for split in ('train', 'test'):
        tiles = [from_mosaic(Image.open(file)) for file in sorted(folder.glob(f'{split}_*.webp'))]
        if not tiles:
            raise UserError(f"'{folder}' holds no {split} images; make it with tools/gpu/pack.py")
        np.save(target / f'{split}_images.npy', np.concatenate(tiles))
        shutil.copy(folder / f'{split}_labels.npy', target)
        print(f'{split}: {sum(map(len, tiles))} images')


def main() -> int:
    """Pack or unpack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, nargs='?', default=ROOT / '.gpu')
    parser.add_argument('--images', type=int, nargs=2, default=(24000, 5000), metavar=('TRAIN', 'TEST'))
    parser.add_argument('--data', type=Path, help='CIFAR-10 as tools/data/fetch.py leaves it; fetched by default')
    parser.add_argument('--unpack', type=Path, metavar='DIR', help='decode the images of the pack into this folder')
    parser.add_argument('--no-wheels', action='store_true')
    args = parser.parse_args()
    if args.unpack:
        unpack(args.folder / 'cifar10', args.unpack)
        return 0
    from eqssl.datasets.fetch import CIFAR10, fetch_cifar

    source = args.data or Path(fetch_cifar(CIFAR10))
    if args.folder.exists() and any(args.folder.iterdir()) and not (args.folder / MARK).is_file():
        raise UserError(f"'{args.folder}' holds other files; give a new folder")
    shutil.rmtree(args.folder, ignore_errors=True)
    (args.folder / 'cifar10').mkdir(parents=True)
    (args.folder / MARK).write_text('made by tools/gpu/pack.py\n')
    if not args.no_wheels:
        pack_wheels(args.folder / 'wheels')
    pack_images(source, args.folder / 'cifar10', dict(zip(('train', 'test'), args.images, strict=True)))
    size = sum(file.stat().st_size for file in args.folder.rglob('*') if file.is_file())
    print(f'{args.folder}: {size / 1e6:.1f} MB')
    if size > LIMIT:
        raise UserError(f'{args.folder} is larger than {LIMIT / 1e6:.0f} MB; give fewer --images')
    return 0


if __name__ == '__main__':
    run_cli(main)
