"""One value for everything that changes over a run: learning rate, momentum, temperatures, weights, freezing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from eqssl.registry import FUNCTIONS
from eqssl.utils.errors import UserError, did_you_mean
from eqssl.utils.progress import Progress, cosine

SHAPES = ('constant', 'linear', 'cosine')
UNITS = ('epoch', 'iter', 'run')
NUMBERS = ('start', 'end', 'warmup', 'warmup_start', 'begin', 'before', 'length')


@dataclass(frozen=True)
class Schedule:
    """A number as a function of where the run stands, so that a resume needs no hidden state.

    It is ``before`` until ``begin``, rises linearly from ``warmup_start`` to ``start`` in ``warmup``, and goes from
    ``start`` to ``end`` in the given shape until ``length``. In a config: a number, or a dict of these arguments; with
    ``type``, a subclass that is registered in ``FUNCTIONS`` and has its own ``__call__`` and ``values``.

    Args:
        start: value after the warm-up.
        end: value at the end; None: as ``start``.
        shape: 'constant', 'linear' or 'cosine' (half a period).
        warmup: length of the linear rise.
        warmup_start: where the rise begins.
        begin: where the schedule begins.
        before: value until then; None: as ``start``.
        length: of everything from the beginning of the run; None: the whole run.
        unit: of ``warmup``, ``begin`` and ``length``: 'epoch', 'iter' or 'run' (1 is the whole run).
        relative: ``warmup_start`` is a share of ``start``.

    Raises:
        UserError: a shape or unit that there is not, a negative length, or a warm-up as long as the schedule.
    """

    start: float
    end: float | None = None
    shape: str = 'constant'
    warmup: float = 0.0
    warmup_start: float = 0.0
    begin: float = 0.0
    before: float | None = 0.0
    length: float | None = None
    unit: str = 'epoch'
    relative: bool = False

    def __post_init__(self) -> None:
        for name, known in (('shape', SHAPES), ('unit', UNITS)):
            if getattr(self, name) not in known:
                raise UserError(f"{name}='{getattr(self, name)}' is none of {', '.join(known)}")
        for name in NUMBERS:
            value = getattr(self, name)
            if value is None and name in ('end', 'length', 'before'):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UserError(f'{name}={value!r} is no number')
            if value < 0 and name in ('warmup', 'begin', 'length'):
                raise UserError(f'{name}={value} is negative')
        whole = 1.0 if self.unit == 'run' and self.length is None else self.length
        if whole is not None and (self.length != 1 or self.unit == 'run') and self.begin + self.warmup >= whole:
            raise UserError(f'begin={self.begin} and warmup={self.warmup} are not shorter than length={whole}')
        if self.unit == 'run' and self.length is not None and self.length > 1:
            raise UserError(f"length={self.length} is beyond the run (unit='run': 1 is the whole run)")
        if self.shape == 'constant' and self.end not in (None, self.start):
            raise UserError(f"end={self.end} needs shape='linear' or 'cosine'")

    @classmethod
    def of(cls, value: float | Mapping[str, Any] | Schedule, name: str, **defaults: Any) -> Schedule:
        """From a config: a number, a dict of arguments, or one that is built already.

        Args:
            value: of the config.
            name: the argument, for errors.
            defaults: arguments where the config gives a number, or a dict without them.

        Raises:
            UserError: names the argument.
        """
        if isinstance(value, Schedule):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return cls(start=value, **defaults)
        known = [field.name for field in fields(cls)]
        if not isinstance(value, Mapping):
            raise UserError(f'{name}={value!r} is neither a number nor a schedule (a dict of {", ".join(known)})')
        if 'type' in value:
            try:
                built = FUNCTIONS.build(dict(value))
            except KeyError as error:
                raise UserError(f'{name}: type={value["type"]!r} is not registered in FUNCTIONS') from error
            if not isinstance(built, Schedule):
                raise UserError(f'{name}: type={value["type"]!r} is no eqssl.utils.schedule.Schedule')
            return built
        for key in value:
            if key not in known:
                raise UserError(f'{name}.{key} is unknown{did_you_mean(str(key), known)}')
        if 'start' not in value:
            raise UserError(f'{name} is a schedule without start')
        if value.get('shape') == 'constant':
            defaults.pop('end', None)
        try:
            return cls(**{**defaults, **value})
        except UserError as error:
            raise UserError(f'{name}.{error}') from error

    @classmethod
    def switch(cls, begin: float, unit: str) -> Schedule:
        """0 until ``begin``, then 1."""
        return cls(1.0, begin=begin, unit=unit)

    @property
    def values(self) -> tuple[float, ...]:
        """Between the least and the greatest of these it moves."""
        found = [self.start, *([] if self.end is None else [self.end])]
        found += [self.before] if self.begin > 0 and self.before is not None else []
        found += [self.start * self.warmup_start if self.relative else self.warmup_start] * (self.warmup > 0)
        return tuple(found)

    def __call__(self, progress: Progress) -> float:
        """The value for the iteration that comes next."""
        done, whole = {
            'epoch': (progress.epoch, progress.max_iters / progress.iters_per_epoch),
            'iter': (progress.iter, progress.max_iters),
            'run': (progress.fraction, 1.0),
        }[self.unit]
        if done < self.begin:
            return self.start if self.before is None else self.before
        done -= self.begin
        if done < self.warmup:
            if self.relative:
                return self.start * (self.warmup_start + (1 - self.warmup_start) * done / self.warmup)
            return self.warmup_start + (self.start - self.warmup_start) * done / self.warmup
        if self.end is None or self.shape == 'constant':
            return self.start
        span = (whole if self.length is None else self.length) - self.begin - self.warmup
        fraction = min(1.0, (done - self.warmup) / span) if span > 0 else 0.0
        if self.shape == 'cosine':
            return cosine(self.start, self.end, fraction)
        return self.start + (self.end - self.start) * fraction
