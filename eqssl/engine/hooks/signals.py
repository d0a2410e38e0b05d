"""SIGTERM and SIGUSR1: finish the iteration, save together, exit so that a scheduler can requeue."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import torch
from mmengine.hooks import Hook

from eqssl.registry import HOOKS
from eqssl.utils import dist

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner

EXIT_REQUEUE = 75  # EX_TEMPFAIL: try again later


@HOOKS.register_module()
class SignalHook(Hook):
    """The handler only sets a flag; at the step boundary all ranks agree, the checkpoint hook saves, the run stops.

    On several ranks the agreement is a small host-side reduction every ``interval`` iterations; on one rank it costs
    nothing. tools/train.py exits with code 75 when ``runner.interrupted`` is set.

    Args:
        interval: iterations between agreements on several ranks.
    """

    priority = 95  # after CheckpointHook (VERY_LOW, 90), before EvaluationHook (LOWEST, 100)

    def __init__(self, interval: int = 5) -> None:
        self.interval = max(1, interval)
        self.received = 0
        self._checked: int | None = None

    def before_run(self, runner: Runner) -> None:
        """Install the handlers; a signal before the first iteration counts as well."""
        runner.interrupted = False
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: object) -> None:
        self.received = number

    def _agreed(self, done: int) -> bool:
        if dist.world_size() == 1:
            return self.received != 0
        if self._checked is not None and done - self._checked < self.interval:
            return False
        self._checked = done
        return dist.all_reduce_sum(torch.tensor([float(self.received != 0)])).item() > 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Stop, between optimizer steps, if any rank was told to."""
        done = runner.iter + 1
        if done == runner.max_iters or not runner.optim_wrapper.should_update() or not self._agreed(done):
            return
        hook = next((h for h in runner.hooks if type(h).__name__ == 'CheckpointHook'), None)
        if hook is None:  # a trial, or the user's wish
            runner.logger.info(
                f'signal received: stopping after iteration {done}; nothing is saved without CheckpointHook'
            )
        else:
            hook.save(runner, done)
            runner.logger.info(f'signal received: saved after iteration {done}, stopping; continue with --resume')
        runner.interrupted = True
        runner.train_loop.stop_training = True
