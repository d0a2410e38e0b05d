"""What a resumed run takes from the checkpoint and what from the config.

From the checkpoint: weights, the optimizer's state (moments), centers, queues, hooks, random states, the position in
the data. From the config: everything that is written there. Schedules are functions of the iteration and follow the
config's values and length; keys that changed are named, one line each, and those that cannot take effect are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eqssl.engine.checkpoint_store import iteration_of, list_checkpoints
from eqssl.utils.config_difference import Difference, differences
from eqssl.utils.errors import UserError

PARTS = {'meta', 'state_dict', 'optimizer', 'param_schedulers', 'hooks', 'random_states'}
# The optimizer's state is stored by the place of a parameter in its groups.
_FIXED = ('optim_wrapper.optimizer.type', 'optim_wrapper.paramwise_cfg', 'optim_wrapper.constructor')
_SCHEDULED = ('optim_wrapper.optimizer', 'param_scheduler', 'train_cfg')
MAX_LINES = 40


def check_resumable(runner: Any, checkpoint: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint that this run cannot continue exactly; name what changed.

    Raises:
        UserError: says which key differs and what to do.
    """
    missing = PARTS - set(checkpoint)
    if missing:
        raise UserError(
            f"checkpoint '{path}' cannot be resumed from: it has no {', '.join(sorted(missing))}; load its weights "
            'with --cfg-options load_from=... instead'
        )
    meta = checkpoint['meta']
    if meta['global_batch'] != runner.global_batch:
        raise UserError(
            f"checkpoint '{path}' was trained with {meta['global_batch']} images per iteration, now "
            f'{runner.global_batch}; set train_dataloader.batch_size so that ranks x batch_size is the same'
        )
    if meta['seed'] != runner.seed:
        raise UserError(f"checkpoint '{path}' has seed {meta['seed']}, now {runner.seed}; set randomness.seed")
    if meta['iter'] > runner.max_iters:
        raise UserError(
            f"checkpoint '{path}' has {meta['iter']} iterations, more than the {runner.max_iters} of train_cfg; "
            'lengthen train_cfg'
        )
    _refuse_later(runner, path, meta['iter'])
    images = len(runner.train_dataloader.dataset)
    if meta.get('num_images', images) != images:
        runner.logger.warning(
            f'--resume: the data has {images} images, {meta["num_images"]} when the checkpoint was written: from here '
            f'on an epoch has {runner.train_loop.iters_per_epoch} iterations, and images are dealt anew'
        )
    _name_changes(runner, meta['cfg'], path)


def _refuse_later(runner: Any, path: Path, iteration: int) -> None:
    """A run that goes back would stand among its own later checkpoints, or among another run's."""
    folder = Path(runner.work_dir)
    later = [p for p in list_checkpoints(folder) if iteration_of(p) > iteration]
    if runner._load_from and later:
        raise UserError(
            f"--resume {path}: work dir '{folder}' holds later checkpoints ({later[-1].name}); choose another "
            '--work-dir, or remove them'
        )


def _name_changes(runner: Any, stored: str, path: Path) -> None:
    changes = differences(stored, runner.cfg)
    if changes is None:
        runner.logger.warning(f"--resume: the config inside '{path}' cannot be compared with this one (not plain data)")
        return
    closed = all(hasattr(schedule, 'seek') for schedule in runner.schedules())
    for change in changes:
        refuse = change.under(*_FIXED) or (not closed and change.under(*_SCHEDULED))
        if refuse:
            raise UserError(
                f'--resume: {change}, which the state in the checkpoint does not allow; set it back, or begin anew '
                'from its weights with --cfg-options load_from=FILE'
            )
    _log(runner, changes)


def _log(runner: Any, changes: list[Difference]) -> None:
    for change in changes[:MAX_LINES]:
        runner.logger.warning(f'--resume: {change}: applied from here on')
    if len(changes) > MAX_LINES:
        runner.logger.warning(f'--resume: {len(changes) - MAX_LINES} more keys differ')


def restore_optimizer(runner: Any, checkpoint: dict[str, Any]) -> None:
    """The optimizer's state from the checkpoint; rates, decay and schedules from the config, at this iteration.

    Schedules that are no function of the iteration alone (mmengine's) keep their state and values.
    """
    wrapper, schedules = runner.optim_wrapper, runner.schedules()
    configured = [{k: v for k, v in group.items() if k != 'params'} for group in wrapper.param_groups]
    wrapper.load_state_dict(checkpoint['optimizer'])
    if all(hasattr(schedule, 'seek') for schedule in schedules):
        for group, settings in zip(wrapper.param_groups, configured, strict=True):
            group.update(settings)
        for schedule in schedules:
            schedule.seek(checkpoint['meta']['iter'])
        return
    for schedule, state in zip(schedules, checkpoint['param_schedulers'], strict=True):
        schedule.load_state_dict(state)
