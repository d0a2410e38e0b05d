"""Which commands there are. A module of :mod:`eqssl.cli` each, imported when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from eqssl.utils.errors import UserError, run_cli
from eqssl.utils.places import PACKAGE
from eqssl.version import __version__

COMMANDS = {
    'demo': 'pre-train on embedded photographs, evaluate, write a report: minutes on a CPU',
    'train': 'pre-train, or fine-tune with mmpretrain, mmseg or mmdet',
    'evaluate': 'measure frozen features of a checkpoint',
    'embed': 'embeddings of your own images, with their paths',
    'test': 'measure a fine-tuned model',
    'compare': 'configs trained over seeds, runs and evaluations in one table',
    'export': 'a backbone for timm, torchvision, transformers, ONNX, OpenMMLab',
    'profile': 'count what a training step costs',
    'saliency': 'Grad-CAM maps of the training images, for salient crops',
    'fetch': 'fetch a public image set into the cache',
    'check-env': 'check the installation',
    'install-mmcv-ops': 'compile the ops of mmcv that mmdet needs',
    'drill': 'kill a training at random moments, resume, compare bit for bit',
}


def parser_of(name: str, prog: str) -> argparse.ArgumentParser:
    """The parser of a command; every command has ``--debug``."""
    command = importlib.import_module(f'eqssl.cli.{name.replace("-", "_")}')
    parser = argparse.ArgumentParser(
        prog=prog, description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_arguments(parser)
    parser.add_argument('--debug', action='store_true', help='show tracebacks of user errors')
    parser.set_defaults(run=command.run)
    return parser


def refuse_another_checkout() -> None:
    """A script in tools/ runs the package beside it, or none.

    Raises:
        UserError: Python imports eqssl from elsewhere.
    """
    script = Path(sys.argv[0]).resolve()
    for folder in script.parents:
        beside = folder.parent / 'eqssl' / '__init__.py'
        if folder.name == 'tools' and beside.is_file() and beside.parent != PACKAGE:
            raise UserError(
                f"'{script}' lies beside another eqssl than the one that Python imports, '{PACKAGE}'; set "
                f'PYTHONPATH={folder.parent}, or pip install -e {folder.parent}'
            )


def run_tool(name: str, prog: str | None = None, arguments: list[str] | None = None) -> None:
    """Run one command with the arguments of this process; what ``tools/*.py`` call.

    Args:
        name: key of :data:`COMMANDS`.
        prog: how the user called it; by default the script's name.
        arguments: by default those of this process.
    """

    def work() -> int | None:
        refuse_another_checkout()
        args = parser_of(name, prog or sys.argv[0]).parse_args(arguments)
        return args.run(args)

    run_cli(work)


def main() -> None:
    """The console command."""
    parser = argparse.ArgumentParser(prog='eqssl', description='Self-supervised pre-training that keeps what moves.')
    parser.add_argument('--version', action='version', version=f'eqssl {__version__}')
    width = max(map(len, COMMANDS)) + 2
    parser.epilog = 'commands:\n' + '\n'.join(f'  {name:{width}}{what}' for name, what in COMMANDS.items())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        'command', choices=COMMANDS, metavar='COMMAND', help='one of the commands below; --help after it'
    )
    args = parser.parse_args(sys.argv[1:2] or ['--help'])
    run_tool(args.command, f'eqssl {args.command}', sys.argv[2:])
