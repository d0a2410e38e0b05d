"""A training as a process of its own, the way a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from eqssl.checkpoint.store import list_checkpoints
from eqssl.engine.hooks.signals import EXIT_REQUEUE
from eqssl.engine.work_dir import clear
from eqssl.utils.errors import UserError
from eqssl.utils.places import PACKAGE


def environment() -> dict[str, str]:
    """Of a process ``python -m eqssl``: the package that runs here, whatever lies in the current folder."""
    path = [str(PACKAGE.parent), *filter(None, [os.environ.get('PYTHONPATH')])]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(path), 'PYTHONSAFEPATH': '1'}


def train_process(config: Path, work_dir: Path, options: list[str], resume: bool = False) -> Path:
    """Run ``eqssl train`` on a config.

    Args:
        config: a config file.
        work_dir: for log and checkpoints.
        options: of ``--cfg-options``.
        resume: continue from the newest checkpoint in ``work_dir``; otherwise old ones are removed first.

    Returns:
        the last checkpoint.

    Raises:
        UserError: the run failed (its own message stands above) or was interrupted.
    """
    if not resume:
        clear(work_dir)
    command = [sys.executable, '-m', 'eqssl', 'train', str(config), '--work-dir', str(work_dir)]
    command += ['--resume'] * resume + ['--cfg-options', *options] * bool(options)
    code = subprocess.run(command, check=False, env=environment()).returncode
    if code == EXIT_REQUEUE:
        raise UserError(f'training in {work_dir} was interrupted and has saved; run the same command to continue')
    if code:
        raise UserError(f'training failed; the command was: {" ".join(command)}')
    return list_checkpoints(work_dir)[-1]
