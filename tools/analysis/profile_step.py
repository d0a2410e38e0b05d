"""Count what a step costs, beside the base method: ``python tools/analysis/profile_step.py CONFIG [--json FILE]``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('profile')
