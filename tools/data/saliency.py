"""Grad-CAM saliency of every training image: ``python tools/data/saliency.py CONFIG CHECKPOINT --out saliency.npy``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('saliency')
