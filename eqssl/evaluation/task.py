"""What an evaluation task is."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor

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


class LabelledTask(EvaluationTask):
    """A task that needs classes; subclasses set what their constructor takes.

    Attributes:
        title: the task's name in messages.
        optional: the task is left out where the images have no labels, instead of refused.
    """

    title: str
    optional: bool = False

    def _unlabelled(self, sources: dict[str, Any]) -> bool:
        return any(source.label(0) < 0 for source in sources.values())

    def _refusal(self) -> UserError:
        return UserError(
            f'evaluation task {self.title} needs labels: set with_label=True in evaluation.train and evaluation.test, '
            'or leave it out'
        )

    def leave_out(self, sources: dict[str, Any]) -> str:
        """Why, where it is optional and the first images have no label."""
        return 'the images have no labels' if self.optional and self._unlabelled(sources) else ''

    def check(self, sources: dict[str, Any]) -> None:
        """Both splits have labels, as far as their first images tell."""
        if self._unlabelled(sources):
            raise self._refusal()

    def labels(self, store: FeatureStore) -> tuple[Tensor, Tensor]:
        """Of the training and the test images, each in [0, classes).

        Raises:
            UserError: an image has none.
        """
        train, test = store.labels('train'), store.labels('test')
        if min(int(train.min()), int(test.min())) < 0:
            raise self._refusal()
        return train, test


def binomial_error(share: float, count: int) -> float:
    """Standard error of a share of ``count`` independent samples."""
    return math.sqrt(share * (1 - share) / count)


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
