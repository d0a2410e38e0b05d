"""Export a backbone: ``python tools/export.py CHECKPOINT --to timm [--branch teacher] [--out exports]``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('export')
