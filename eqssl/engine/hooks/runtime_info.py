"""Tells the model and the message hub where the run stands, without reading anything back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmengine.hooks import Hook

from eqssl.registry import HOOKS
from eqssl.utils.progress import Progress

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


@HOOKS.register_module()
class RuntimeInfoHook(Hook):
    """Replaces mmengine's hook of this name, which reads every loss to the host at every iteration.

    Sets ``model.progress`` (schedules are functions of it), the parameters that take no gradient yet, and the run's
    place in the message hub; restores the random state at the first iteration after a resume.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Lengths that other mmengine components ask for."""
        runner.message_hub.update_info('iter', runner.iter)
        runner.message_hub.update_info('max_iters', runner.max_iters)
        runner.message_hub.update_info('max_epochs', runner.max_epochs)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Before every iteration."""
        runner.restore_random_state()
        model = runner.bare_model
        model.progress = Progress(runner.iter, runner.max_iters, runner.train_loop.iters_per_epoch)
        runner.optim_wrapper.frozen = model.frozen_parameters()
        runner.message_hub.update_info('iter', runner.iter)
        runner.message_hub.update_info('epoch', runner.epoch)
