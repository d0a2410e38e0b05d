"""A :class:`~eqssl.utils.schedule.Schedule` for a key of the optimizer's parameter groups."""

from __future__ import annotations

from typing import Any

from mmengine.optim import _ParamScheduler

from eqssl.registry import PARAM_SCHEDULERS
from eqssl.utils.errors import UserError
from eqssl.utils.progress import Progress
from eqssl.utils.schedule import SHAPES, Schedule


@PARAM_SCHEDULERS.register_module()
class CosineSchedule(_ParamScheduler):
    """Linear warm-up, then half a cosine (or a line), for any key of the parameter groups.

    Args:
        optimizer: an optimizer (wrapper).
        param_name: 'lr', 'weight_decay', ...
        final: value at the end (absolute).
        warmup: epochs (``by_epoch``) or iterations of linear rise from ``warmup_start`` times the base value.
        warmup_start: factor at the first iteration.
        shape: 'cosine', 'linear' or 'constant' (the base value stays).
        by_epoch: whether ``warmup`` and ``end`` count epochs; the value changes every iteration in any case.
        end: length of the schedule; the Runner fills in the length of the run.
        epoch_length: iterations per epoch; the Runner fills it in.

    Groups whose base value is 0 (no weight decay on norms and biases) stay at 0. Of the learning rate, a group's
    ``lr_scale`` scales ``final`` too, and a group with ``constant_lr`` keeps its base value.
    """

    def __init__(
        self,
        optimizer: Any,
        param_name: str = 'lr',
        final: float = 0.0,
        warmup: float = 0,
        warmup_start: float = 0.0,
        by_epoch: bool = True,
        end: int = 1,
        epoch_length: int = 1,
        last_step: int = -1,
        verbose: bool = False,
        shape: str = 'cosine',
    ) -> None:
        unit = max(1, epoch_length) if by_epoch else 1
        self.total, self.warmup_iters = int(end * unit), int(warmup * unit)
        self.final, self.warmup_start, self.shape = final, warmup_start, shape
        if shape not in SHAPES:
            raise UserError(f"param_scheduler: shape='{shape}' is none of {', '.join(SHAPES)}")
        self._courses: dict[tuple[float, float], Schedule] = {}
        if self.warmup_iters >= self.total > 1:
            raise UserError(
                f'param_scheduler: warmup={warmup} is not shorter than the run ({end}, by_epoch={by_epoch})'
            )
        super().__init__(optimizer, param_name, 0, self.total + 2, last_step, by_epoch=False, verbose=verbose)

    @classmethod
    def build_iter_from_epoch(cls, *args: Any, **kwargs: Any) -> CosineSchedule:
        """mmengine's ``convert_to_iter_based`` asks for this; the schedule is per iteration already."""
        return cls(*args, **kwargs)

    def value(self, base: float, step: int, scale: float = 1.0) -> float:
        """Value at an iteration, from the base value; ``scale`` multiplies the final one."""
        if base == 0:
            return 0.0
        if (base, scale) not in self._courses:
            end = None if self.shape == 'constant' else scale * self.final
            warm = dict(warmup=self.warmup_iters, warmup_start=self.warmup_start, relative=True)
            self._courses[base, scale] = Schedule(base, end, self.shape, length=self.total, unit='iter', **warm)  # type: ignore
        return self._courses[base, scale](Progress(step, self.total))

    def seek(self, iteration: int) -> None:
        """Set the values of an iteration, with base values, length and shape as they are now configured."""
        self.last_step = self._global_step = min(iteration, self.total + 1)
        for group, value in zip(self.optimizer.param_groups, self._get_value(), strict=True):
            group[self.param_name] = value
        self._last_value = [group[self.param_name] for group in self.optimizer.param_groups]

    def _get_value(self) -> list[float]:
        is_lr = self.param_name == 'lr'
        values = []
        for base, group in zip(self.base_values, self.optimizer.param_groups, strict=True):
            if is_lr and group.get('constant_lr', False):
                values.append(base)
            else:
                values.append(self.value(base, self.last_step, group.get('lr_scale', 1.0) if is_lr else 1.0))
        return values
