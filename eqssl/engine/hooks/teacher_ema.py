"""Moves the teacher and other slow state after real optimizer steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmengine.hooks import Hook

from eqssl.registry import HOOKS

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


@HOOKS.register_module()
class TeacherEMAHook(Hook):
    """Calls ``model.after_step`` once per optimizer step: not for micro-batches, and without effect where the step was
    skipped for a non-finite gradient. The momentum is a function of the iteration."""

    priority = 'HIGH'

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """After the optimizer."""
        wrapper = runner.optim_wrapper
        if wrapper.should_update():
            runner.bare_model.after_step(wrapper.finite)
