"""The demo: ``python tools/demo.py [--method simclr] [--data photos] [--seed 0]``; see ``make demo``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('demo')
