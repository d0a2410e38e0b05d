"""Runs evaluation tasks on a network and on its controls; used by tools/evaluate.py, the hook and the demo."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log

from eqssl.evaluation.encoders import encoder_of, random_init
from eqssl.evaluation.feature_store import FeatureStore
from eqssl.evaluation.task import as_task
from eqssl.registry import DATASETS, EVALUATION_TASKS
from eqssl.utils.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from eqssl.models.pretrainer import SSLPretrainer

DEFAULT_TASKS = {'knn': {'type': 'eqssl.KNN', 'optional': True}, 'equivariance': {'type': 'eqssl.Equivariance'}}


def _open(split: str, config: dict) -> Any:
    """A source; what it refuses is told with its key."""
    try:
        return DATASETS.build(config)
    except UserError as error:
        raise UserError(f'evaluation.{split}: {error}') from error


class Evaluation:
    """The config key ``evaluation``, built.

    Args:
        train, test: configs of image sources.
        size: image side.
        tasks: name -> config of a task; None switches one off that a base config has.
        limits: split -> largest number of images.
        branch: 'teacher' or 'student'.
        cells: grid of pooled patch tokens.
        num_workers: that read images; by default up to 8 where there are many files.
    """

    def __init__(
        self,
        train: dict,
        test: dict,
        size: int,
        tasks: dict[str, dict],
        limits: dict[str, int] | None = None,
        branch: str = 'teacher',
        cells: int = 2,
        num_workers: int | None = None,
    ) -> None:
        self.sources = {'train': _open('train', train), 'test': _open('test', test)}
        self._share_classes()
        built = {name: EVALUATION_TASKS.build(task) for name, task in tasks.items() if task is not None}
        self.tasks = {name: as_task(name, task) for name, task in built.items()}
        self.left_out: dict[str, str] = {}  # task -> why
        for name, task in list(self.tasks.items()):
            if reason := task.leave_out(self.sources):
                self.left_out[name] = reason
                print_log(f'evaluation task {name} is left out: {reason}', 'current')
                del self.tasks[name]
        if num_workers is not None and num_workers < 0:
            raise UserError(f'evaluation.num_workers={num_workers} is negative')
        self.size, self.limits, self.branch, self.cells, self.num_workers = size, limits, branch, cells, num_workers
        self._store: FeatureStore | None = None

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Evaluation:
        """Built from the config key ``evaluation``.

        Raises:
            UserError: a key that is missing or unknown, or what a source or task refuses.
        """
        parameters = inspect.signature(cls).parameters
        for key in settings:
            if key not in parameters:
                raise UserError(f"config key 'evaluation.{key}' is unknown{did_you_mean(key, parameters)}")
        for key, parameter in parameters.items():
            if parameter.default is parameter.empty and settings.get(key) is None:
                raise UserError(f"config key 'evaluation.{key}' is missing")
        for split in ('train', 'test'):
            if not isinstance(settings[split], dict):
                raise UserError(f'evaluation.{split}={settings[split]!r} must be the config of a source')
        for split, limit in (settings.get('limits') or {}).items():
            if split not in ('train', 'test') or not (limit is None or (isinstance(limit, int) and limit > 0)):
                raise UserError(
                    f'evaluation.limits.{split}={limit!r}: train and test take a number of images, at least 1'
                )
        return cls(**settings)

    def _share_classes(self) -> None:
        """One numbering for both splits: that of the training images, by the classes' names."""
        train, test = self.sources['train'], self.sources['test']
        if hasattr(test, 'renumber') and getattr(train, 'classes', None):
            try:
                test.renumber(train.classes)
            except UserError as error:
                raise UserError(f'evaluation.test: {error}') from error

    def check(self) -> None:
        """Whether the data have what the tasks need, before anything is trained or extracted.

        Raises:
            UserError: names the task.
        """
        for task in self.tasks.values():
            task.check(self.sources)

    def select(self, names: list[str] | None) -> None:
        """Keep some of the tasks; what is left out stays out."""
        for name in names or []:
            if name not in self.tasks and name not in self.left_out:
                raise UserError(f'--tasks {name}: not a task of this config{did_you_mean(name, self.tasks)}')
        if names:
            self.tasks = {name: self.tasks[name] for name in names if name in self.tasks}

    def store(self, model: SSLPretrainer) -> FeatureStore:
        """A store for a model; images are read once."""
        encoder = encoder_of(model, self.branch)
        if self._store is None:
            self._store = FeatureStore(
                encoder, self.sources, self.size, self.limits, self.cells, num_workers=self.num_workers
            )
        return self._store.with_encoder(encoder)

    def run(self, model: SSLPretrainer) -> dict[str, float]:
        """All tasks on one model."""
        store = self.store(model)
        return {key: value for task in self.tasks.values() for key, value in task(store).items()}

    def pixels(self, model: SSLPretrainer) -> dict[str, float]:
        """The same tasks on raw pixels (the model only lends the image size); they stand in the place of 'all'."""
        store = self.store(model)
        result: dict[str, float] = {}
        for task in self.tasks.values():
            if task.pixels is not None:
                found = task.on(task.pixels)(store)
                result.update({key.replace(f'/{task.pixels}/', '/all/'): value for key, value in found.items()})
        return result

    def controls(self, model_config: dict, seed: int) -> dict[str, dict[str, float]]:
        """Raw pixels and random initialization."""
        fresh = random_init(model_config, seed)
        return {'raw pixels': self.pixels(fresh), 'random init': self.run(fresh)}
