"""Downstream runs in one table: ``python tools/analysis/collect_results.py base=work_dirs/a_* ours=work_dirs/b_*``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('results')
