"""Check the installation and say what mends it."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument('--quiet', action='store_true', help='print errors only')
    parser.add_argument('--json', metavar='FILE')


def run(args: argparse.Namespace) -> int:
    """Print the findings; exit code 1 if anything is wrong."""
    from eqssl.install.environment import report

    return report(args.quiet, args.json)
