"""Measure a fine-tuned model: ``python tools/test.py CONFIG CHECKPOINT [--work-dir DIR] [--json FILE]``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('test')
