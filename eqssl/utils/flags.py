"""OpenMMLab's flags, which every tool that runs a config on one or several processes has."""

from __future__ import annotations

import argparse

from mmengine.config import DictAction


def run_parser(description: str, config: str = 'config file (.py)') -> argparse.ArgumentParser:
    """A parser with the common flags.

    Args:
        description: of the tool.
        config: help of the first argument.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help=config)
    parser.add_argument('--work-dir', help='where logs and checkpoints go; default work_dirs/<config name>')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override config keys: a.b=1 c=x')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='job launcher')
    parser.add_argument('--debug', action='store_true', help='show tracebacks of user errors')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser
