"""Where a downstream run begins: at a pre-trained backbone, or at a whole model that it or another run has saved."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from eqssl.engine.checkpoint_store import load_strictly, read_checkpoint
from eqssl.utils.errors import UserError

SAVED = re.compile(r'(?:iter|epoch)_(\d+)\.pth')


def newest_checkpoint(work_dir: str) -> Path | None:
    """The newest checkpoint of a work dir that can be read; damaged ones are named and passed over.

    mmengine follows ``last_checkpoint``: a path that is wrong once the work dir was moved, a file that may be cut off.

    Raises:
        UserError: there are checkpoints, and none can be read.
    """
    saved = [(int(match[1]), path) for path in Path(work_dir).glob('*.pth') if (match := SAVED.fullmatch(path.name))]
    problems = []
    for _, path in sorted(saved, reverse=True):
        try:
            read_checkpoint(path, leave_out=True)
        except UserError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            print_log(f'{problem}; resuming from {path.name}', 'current', logging.WARNING)
        return path
    if problems:
        raise UserError(f'--resume: none of {len(problems)} checkpoints can be read ({problems[0]})')
    return None


def find_beginning(cfg: Config) -> str | None:
    """The whole model that a run continues (``resume``) or starts from (``load_from``); None: there is none.

    The file is read as data here, before mmengine reads it, which would execute what is in it. ``--resume`` in a new
    work dir begins at the backbone's checkpoint.

    Raises:
        UserError: the file does not exist, is damaged or holds code.
    """
    if cfg.get('resume') and not cfg.get('load_from'):
        newest = newest_checkpoint(cfg.work_dir)
        cfg.load_from = None if newest is None else str(newest)
        cfg.resume = newest is not None
    elif cfg.get('load_from'):
        read_checkpoint(cfg.load_from, leave_out=True)
    return cfg.get('load_from')


def load_whole(runner: Runner, path: str) -> int:
    """Load a checkpoint into a whole model, all tensors or none.

    Returns:
        number of tensors.

    Raises:
        UserError: it does not fit the model, tensor by tensor.
    """
    stored = read_checkpoint(path, leave_out=True)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return load_strictly(model, stored.get('state_dict', stored), path)
