"""Fetch a public image set into the cache and print its folder."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('name', choices=['cifar10', 'cifar100'])


def run(args: argparse.Namespace) -> int:
    """Print the folder."""
    from eqssl.datasets.fetch import CIFAR10, CIFAR100, fetch_cifar

    print(fetch_cifar({'cifar10': CIFAR10, 'cifar100': CIFAR100}[args.name]))
    return 0
