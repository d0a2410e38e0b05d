"""What a resumed run takes from the checkpoint and what from the config.

From the checkpoint: weights, the optimizer's state (moments), centers, queues, hooks, random states, the position in
the data. From the config: everything that is written there. Schedules are functions of the iteration and follow the
config's values and length; keys that changed are named, one line each, and those that cannot take effect are refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log

from eqssl.checkpoint.store import (
    NAME,
    iteration_of,
    list_checkpoints,
    load_strictly,
    newest_valid,
    read_checkpoint,
    verify,
)
from eqssl.config.difference import differences
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from mmengine.optim import OptimWrapper

    from eqssl.engine.runner import Runner
    from eqssl.models.pretrainer import SSLPretrainer

PARTS = {'meta', 'state_dict', 'optimizer', 'param_schedulers', 'hooks', 'random_states'}
_BACKBONE = 'to begin from a backbone alone: --cfg-options checkpoint=FILE'
# The optimizer's state is stored by the place of a parameter in its groups.
_FIXED = ('optim_wrapper.optimizer.type', 'optim_wrapper.paramwise_cfg', 'optim_wrapper.constructor')
_SCHEDULED = ('optim_wrapper.optimizer', 'param_scheduler', 'train_cfg', 'auto_scale_lr')


def find_checkpoint(
    work_dir: str | Path,
    file: str | None = None,
    name: re.Pattern[str] = NAME,
    problem_of: Callable[[Path], str | None] = verify,
) -> Path | None:
    """What ``--resume`` continues from: the given file, or the newest valid checkpoint of the work dir, if any.

    Args:
        work_dir: of the run.
        file: of ``--resume FILE``.
        name: of checkpoints.
        problem_of: what is wrong with one, or None.

    Raises:
        UserError: there are checkpoints, and none is valid.
    """
    if file is not None:
        return Path(file)
    problems: list[str] = []
    found = newest_valid(Path(work_dir), problems.append, name, problem_of)
    if found is None and problems:
        raise UserError(
            f"--resume: none of the {len(problems)} checkpoints in '{work_dir}' is valid ({problems[0]}); restore "
            'them, or remove them to start anew'
        )
    for problem in problems:
        print_log(problem, 'current', logging.WARNING)
    return found


def check_meta(meta: dict[str, Any], path: Path, global_batch: int, seed: int, iterations: int) -> None:
    """What must be the same for a run to continue exactly.

    Raises:
        UserError: images per iteration, seed, or a length that the checkpoint exceeds.
    """
    if meta['global_batch'] != global_batch:
        raise UserError(
            f"checkpoint '{path}' was trained with {meta['global_batch']} images per iteration, now {global_batch}; "
            'set train_dataloader.batch_size so that ranks x batch_size is the same'
        )
    if meta['seed'] != seed:
        raise UserError(f"checkpoint '{path}' has seed {meta['seed']}, now {seed}; set randomness.seed")
    if meta['iter'] > iterations:
        raise UserError(
            f"checkpoint '{path}' has {meta['iter']} iterations, more than the {iterations} of train_cfg; lengthen "
            'train_cfg'
        )


def load_weights(model: SSLPretrainer, path: str) -> int:
    """``load_from``: the weights of a whole model, all of them.

    Returns:
        number of tensors.

    Raises:
        UserError: no such file, or it does not fit.
    """
    checkpoint = read_checkpoint(path)
    if 'state_dict' not in checkpoint:
        keys = ', '.join(list(checkpoint)[:5])
        raise UserError(f"load_from: checkpoint '{path}' has no state_dict (its keys: {keys}); {_BACKBONE}")
    try:
        return load_strictly(model, checkpoint['state_dict'], path)
    except UserError as error:
        raise UserError(f'load_from: {error}; {_BACKBONE}') from error


def check_parts(checkpoint: dict[str, Any], path: Path) -> None:
    """Everything that a run continues from is in the file.

    Raises:
        UserError: says what is not.
    """
    missing = PARTS - set(checkpoint)
    if missing:
        raise UserError(
            f"checkpoint '{path}' cannot be resumed from: it has no {', '.join(sorted(missing))}; load its weights "
            'with --cfg-options load_from=... instead'
        )


def check_resumable(runner: Runner, checkpoint: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint that this run cannot continue exactly; name what changed.

    Raises:
        UserError: says which key differs and what to do.
    """
    check_parts(checkpoint, path)
    meta = checkpoint['meta']
    check_meta(meta, path, runner.global_batch, runner.seed, runner.max_iters)
    _refuse_later(runner, path, meta['iter'])
    images = len(runner.train_dataloader.dataset)
    if meta.get('num_images', images) != images:
        runner.logger.warning(
            f'--resume: the data has {images} images, {meta["num_images"]} when the checkpoint was written: from here '
            f'on an epoch has {runner.train_loop.iters_per_epoch} iterations, and images are dealt anew'
        )
    _refuse_changes(runner, meta['cfg'])


def _refuse_later(runner: Runner, path: Path, iteration: int) -> None:
    """A run that goes back would stand among its own later checkpoints, or among another run's."""
    folder = Path(runner.work_dir)
    later = [p for p in list_checkpoints(folder) if iteration_of(p) > iteration]
    if later and runner.cfg.get('resume_file'):
        raise UserError(
            f"--resume {path}: work dir '{folder}' holds later checkpoints ({later[-1].name}); choose another "
            '--work-dir, or remove them'
        )


def _refuse_changes(runner: Runner, stored: str) -> None:
    """Keys that changed and cannot take effect."""
    closed = all(hasattr(schedule, 'seek') for schedule in runner.schedules())
    for change in differences(stored, runner.cfg) or []:
        if change.under(*_FIXED) or (not closed and change.under(*_SCHEDULED)):
            raise UserError(
                f'--resume: {change}, which the state in the checkpoint does not allow; set it back, or begin anew '
                'from its weights with --cfg-options load_from=FILE'
            )


def name_changes(runner: Runner, checkpoint: dict[str, Any]) -> None:
    """Say which keys differ from the config in the checkpoint, one line each, when all has been taken from it."""
    changes = differences(checkpoint['meta']['cfg'], runner.cfg)
    if changes is None:
        runner.logger.warning('--resume: the config inside the checkpoint is not plain data: changes cannot be named')
    for change in changes or []:
        runner.logger.warning(f'--resume: {change}: applied from here on')


def _check_groups(wrapper: OptimWrapper, stored: dict[str, Any]) -> None:
    """The stored state is that of this kind of optimizer, over the same groups of parameters.

    Raises:
        UserError: it is not.
    """
    ours, theirs = wrapper.optimizer.param_groups, stored['param_groups']
    sizes = [[len(group['params']) for group in groups] for groups in (theirs, ours)]
    kinds = [[key for key in ('betas', 'momentum') if key in groups[0]] for groups in (theirs, ours)]
    if sizes[0] != sizes[1] or kinds[0] != kinds[1]:
        raise UserError(
            f'--resume: the optimizer in the checkpoint is of another kind, or over other parameters (groups of '
            f'{sizes[0]} tensors, now {sizes[1]}); set optim_wrapper and model back, or begin anew from its weights '
            'with --cfg-options load_from=FILE'
        )
    state: dict[str, Any] = next(iter(stored['state'].values()), {})
    if ours[0].get('amsgrad') and 'max_exp_avg_sq' not in state:
        raise UserError('--resume: optim_wrapper.optimizer.amsgrad=True needs a state that the checkpoint lacks')


def restore_optimizer(runner: Runner, checkpoint: dict[str, Any]) -> None:
    """The optimizer's state from the checkpoint; rates, decay and schedules from the config, at this iteration.

    Schedules that are no function of the iteration alone (mmengine's) keep their state and values.
    """
    wrapper, schedules = runner.optim_wrapper, runner.schedules()
    configured = [{k: v for k, v in group.items() if k != 'params'} for group in wrapper.param_groups]
    _check_groups(wrapper, checkpoint['optimizer'])
    wrapper.load_state_dict(checkpoint['optimizer'])
    if all(hasattr(schedule, 'seek') for schedule in schedules):
        for group, settings in zip(wrapper.param_groups, configured, strict=True):
            group.update(settings)
        for schedule in schedules:
            schedule.seek(checkpoint['meta']['iter'])
        return
    for schedule, state in zip(schedules, checkpoint['param_schedulers'], strict=True):
        schedule.load_state_dict(state)
