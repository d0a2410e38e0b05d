"""OpenMMLab's flags, which every tool that runs a config on one or several processes has."""

from __future__ import annotations

import argparse
from pathlib import Path


def path_text(text: str) -> str:
    """``type`` of a flag that takes a path: ``~`` becomes the home folder (shells leave it in ``--flag=~/x``)."""
    return str(path(text))


def path(text: str) -> Path:
    """As :func:`path_text`, a Path."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"'{text}': no such home folder") from error


def result_file(text: str) -> str:
    """As :func:`path_text`, for a file that is written when all is done: what cannot be one is told before."""
    if path(text).is_dir():
        raise argparse.ArgumentTypeError(f"'{text}' is a folder")
    return path_text(text)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """``--cfg-options``, as typed; :func:`eqssl.config.reader.read_config` reads them with the config in hand."""
    parser.add_argument(
        '--cfg-options', nargs='+', action='extend', default=[], metavar='KEY=VALUE',
        help='override config keys: a.b=1 c=x; paths are taken as they are typed',
    )  # fmt: skip


def add_run_arguments(parser: argparse.ArgumentParser, config: str = 'config file (.py), or its name') -> None:
    """OpenMMLab's flags.

    Args:
        parser: of a tool that runs a config.
        config: help of the first argument.
    """
    parser.add_argument('config', type=path_text, help=config)
    parser.add_argument('--work-dir', type=path_text, help='for logs and checkpoints; default work_dirs/<config name>')
    add_cfg_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
