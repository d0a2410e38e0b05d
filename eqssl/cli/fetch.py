"""Fetch a public image set into the cache and print its folder."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('name', choices=['cifar10', 'cifar100'])


def run(args: argparse.Namespace) -> int:
    """Print the folder."""
    import eqssl.datasets.named  # noqa: F401
    from eqssl.registry import NAMED_DATA

    print(NAMED_DATA[args.name]())
    return 0
