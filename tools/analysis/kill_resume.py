"""Kill, resume, compare: ``python tools/analysis/kill_resume.py configs/demo/ibot_recon_objects.py --kills 10``."""

from eqssl.cli import run_tool

if __name__ == '__main__':
    run_tool('drill')
