"""Pre-train: ``python tools/train.py CONFIG [--work-dir DIR] [--resume [FILE]] [--amp] [--cfg-options k=v]``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('train')
