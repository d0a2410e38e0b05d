"""Fetch a public image set into the cache and print its folder: ``python tools/data/fetch.py cifar10``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from eqssl.utils.errors import run_cli


def main() -> int:
    """Print the folder."""
    parser = argparse.ArgumentParser(description='Fetch a public image set into the cache.')
    parser.add_argument('name', choices=['cifar10', 'cifar100'])
    parser.add_argument('--debug', action='store_true')
    args = parser.parse_args()
    from eqssl.datasets.fetch import CIFAR10, CIFAR100, fetch_cifar

    print(fetch_cifar({'cifar10': CIFAR10, 'cifar100': CIFAR100}[args.name]))
    return 0


if __name__ == '__main__':
    run_cli(main)
