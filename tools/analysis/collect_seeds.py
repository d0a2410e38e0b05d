"""Mean and spread over work dirs: ``python tools/analysis/collect_seeds.py work_dirs/demo_simclr_photos_seed?``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('seeds')
