"""What an evaluation task is."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from eqssl.evaluation.feature_store import FeatureStore
from eqssl.utils.errors import UserError

Measures = dict[str, float]


class EvaluationTask(ABC):
    """Measures of one network from its frozen features.

    A task that reads one part of the features keeps its name in ``part``; see :class:`FeatureStore` for the parts.

    Attributes:
        pixels: the part that stands for raw pixels in the controls; None where the task says nothing of them.
    """

    pixels: str | None = None

    def on(self, part: str) -> EvaluationTask:
        """The same task on another part of the features."""
        other = copy.copy(self)
        other.part = part  # type: ignore[attr-defined]
        return other

    def leave_out(self, sources: dict[str, Any]) -> str:
        """Why the task says nothing about these data and is left out; empty where it does."""
        return ''

    def check(self, sources: dict[str, Any]) -> None:
        """Whether the data have what the task needs, before anything is trained or extracted.

        Args:
            sources: 'train' and 'test' -> image source.

        Raises:
            UserError: names the task and what is missing.
        """

    @abstractmethod
    def __call__(self, store: FeatureStore) -> Measures:
        """Measures by name, each a finite number.

        Args:
            store: features, labels and images of both splits of one network.

        Raises:
            UserError: the features are not finite, or the data lack what is needed.
        """


class PlainTask(EvaluationTask):
    """A bare callable as a task: it measures networks, and says nothing of raw pixels.

    Args:
        measure: :class:`FeatureStore` to measures.
    """

    def __init__(self, measure: Callable[[FeatureStore], Measures]) -> None:
        self.measure = measure

    def __call__(self, store: FeatureStore) -> Measures:
        """What the callable says."""
        return self.measure(store)


def as_task(name: str, built: object) -> EvaluationTask:
    """A task, or a bare callable as one.

    Raises:
        UserError: something with methods of a task that is none.
    """
    if isinstance(built, EvaluationTask):
        return built
    if not callable(built) or any(hasattr(built, part) for part in ('check', 'on', 'pixels')):
        raise UserError(
            f'evaluation.tasks.{name}: {type(built).__name__} must subclass eqssl.evaluation.EvaluationTask'
        )
    return PlainTask(built)
