"""Several configs and seeds in one table: ``python tools/analysis/compare.py configs/bases/*.py --seeds 0 1 2``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('compare')
