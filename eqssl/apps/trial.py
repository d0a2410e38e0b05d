"""``eqssl train CONFIG --try N``: some iterations of a recipe on the real data, and what all of it would take."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from eqssl.registry import HOOKS
from eqssl.utils import dist
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


def make_trial(cfg: Config, iterations: int) -> None:
    """Change a prepared pre-training config: fewer iterations, schedules scaled to them, nothing saved or evaluated.

    Raises:
        UserError: fewer than 2 iterations, a run that is to be continued, or a schedule that cannot be scaled.
    """
    if iterations < 2:
        raise UserError(f'--try {iterations}: at least 2 iterations')
    if cfg.get('resume'):
        raise UserError('--try begins anew; leave --resume out')
    schedules = cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else [cfg.param_scheduler]
    for number, schedule in enumerate(schedules):
        if schedule.get('type') != 'eqssl.CosineSchedule':
            kind = schedule.get('type')
            raise UserError(f'--try scales eqssl.CosineSchedule alone; param_scheduler[{number}] is {kind}')
    cfg.train_cfg['try_iters'] = iterations
    hooks = cfg.setdefault('default_hooks', {})
    hooks['checkpoint'] = None
    hooks.pop('evaluation', None)
    if hooks.get('logger'):
        hooks['logger']['interval'] = max(1, min(hooks['logger'].get('interval', 50), iterations // 4))
    cfg['custom_hooks'] = [*(cfg.get('custom_hooks') or []), {'type': 'eqssl.TrialHook'}]
    cfg.work_dir = f'{cfg.work_dir}_try'


def as_duration(seconds: float) -> str:
    """'2 days 3 h', '3 h 12 min', '12 min' or '40 s'."""
    minutes = round(seconds / 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f'{days} day{"s" * (days > 1)} {hours} h'
    if hours:
        return f'{hours} h {minutes % 60} min'
    return f'{minutes} min' if seconds >= 100 else f'{seconds:.0f} s'


@HOOKS.register_module()
class TrialHook(Hook):
    """Times the second half of a trial, and says what the whole run would take."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.start = 0.0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Start the clock in the middle, when all that is made once is made."""
        if runner.iter == runner.max_iters // 2:
            self._wait()
            self.start = time.perf_counter()

    def _wait(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def after_train(self, runner: Runner) -> None:
        """Print it; nothing where a signal ended the trial."""
        if getattr(runner, 'interrupted', False):
            return
        self._wait()
        timed = runner.max_iters - runner.max_iters // 2
        each = (time.perf_counter() - self.start) / timed
        loop = runner.train_loop
        if torch.cuda.is_available():
            memory = f'{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory at most on rank 0'
        else:
            memory = f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB of memory at most on rank 0'
        count = sum(p.numel() for p in runner.bare_model.parameters() if p.requires_grad) / 1e6
        if dist.rank() == 0:
            print(
                f'tried {runner.max_iters} of {loop.whole} iterations: {runner.global_batch / each:.1f} images/s on '
                f'{runner.world_size} rank(s) (after {runner.max_iters // 2}), {memory}, {count:.1f} M trained '
                f'parameters\nat this rate the whole run takes {as_duration(each * loop.whole)}, evaluations aside',
                flush=True,
            )
