"""Give mmcv the compiled ops that mmdet needs: ``python tools/install_mmcv_ops.py``.

Compiles against the installed torch (5 to 10 minutes on two cores; a C++ compiler is needed) and keeps the wheel in
``~/.cache/eqssl/wheels`` (``$EQSSL_CACHE``), by torch, CUDA, Python and platform: the next environment takes it in
seconds.
"""

from __future__ import annotations

from eqssl.utils.errors import run_cli


def main() -> None:
    """Build or reuse, then install."""
    from eqssl.datasets.fetch import cache_dir
    from eqssl.install.mmcv_ops import install

    install(cache_dir())


if __name__ == '__main__':
    run_cli(main)
