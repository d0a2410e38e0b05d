"""Give mmcv the compiled ops that mmdet needs.

Compiles against the installed torch (5 to 10 minutes on two cores; a C++ compiler is needed) and keeps the wheel in
``~/.cache/eqssl/wheels`` (``$EQSSL_CACHE``), by torch, CUDA, Python and platform: the next environment takes it in
seconds.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:
    """Build or reuse, then install."""
    from eqssl.datasets.fetch import cache_dir
    from eqssl.install.mmcv_ops import install

    install(cache_dir())
    return 0
