"""Give mmcv the compiled ops that mmdet needs: ``python tools/install_mmcv_ops.py``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('install-mmcv-ops')
