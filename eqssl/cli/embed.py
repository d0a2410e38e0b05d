"""Embeddings of your own images: ``embeddings.npy`` and ``images.csv`` with their paths.

The network is built from the config inside the checkpoint. ::

    eqssl embed work_dirs/ibot_vits/iter_1000.pth ~/photos --out embeddings
"""

from __future__ import annotations

import argparse

from eqssl.utils.flags import path, path_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('checkpoint', type=path_text)
    parser.add_argument('folder', type=path_text, help='images at any depth')
    parser.add_argument('--out', type=path, required=True, metavar='DIR', help='a new folder')
    parser.add_argument(
        '--part', choices=['cls', 'mean', 'cls_mean'], default='cls', help='class token, mean of patches, both'
    )
    parser.add_argument('--branch', choices=['teacher', 'student'])
    parser.add_argument('--size', type=int, help='side of the images; default as in pre-training')
    parser.add_argument('--dtype', choices=['float32', 'float16'], default='float32')
    parser.add_argument('--workers', type=int, help='that read images; default up to 8 where there are many')


def run(args: argparse.Namespace) -> int:
    """Embed and say where."""
    from eqssl.apps.embed import embed
    from eqssl.apps.open_config import fill_registries

    fill_registries()
    record = embed(args.checkpoint, args.folder, args.out, args.part, args.branch, args.size, args.dtype, args.workers)
    found = record.results['embeddings']
    print(f'{found["rows"]} embeddings of width {found["width"]} in {args.out}/embeddings.npy, paths in images.csv')
    return 0
