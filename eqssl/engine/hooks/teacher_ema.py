"""Moves the teacher and other slow state after real optimizer steps."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook

from eqssl.registry import HOOKS


@HOOKS.register_module()
class TeacherEMAHook(Hook):
    """Calls ``model.after_step`` once per optimizer step: not for micro-batches, and without effect where the step was
    skipped for a non-finite gradient. The momentum is a function of the iteration."""

    priority = 'HIGH'

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """After the optimizer."""
        wrapper = runner.optim_wrapper
        if wrapper.should_update():
            runner.bare_model.after_step(wrapper.finite)
