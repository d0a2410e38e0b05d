"""How much of a transformation can be read from features: R2 of theta from the pair (f(I), f(g_theta(I)))."""

from __future__ import annotations

import copy
import zlib

import torch
from torch import Tensor

from eqssl.augment.paths import TransformPath, build_path
from eqssl.evaluation.feature_store import FeatureStore
from eqssl.evaluation.regression import (
    fit_mlp,
    fit_ridge,
    r2_error,
    r2_global,
    r2_mean,
    standardize,
)
from eqssl.evaluation.task import EvaluationTask
from eqssl.registry import EVALUATION_TASKS
from eqssl.utils.errors import UserError

DEFAULT_PATHS = {
    'rotation': {'type': 'eqssl.Rotation', 'padding': 'reflect'},
    'translation': {'type': 'eqssl.Translation', 'padding': 'reflect'},
    'color': {'type': 'eqssl.Color'},
    'blur': {'type': 'eqssl.Blur'},
}


@EVALUATION_TASKS.register_module()
class Equivariance(EvaluationTask):
    """R2 per path, per part and per probe (arXiv 2503.18753 section 4.2).

    Both definitions of R2 are reported: ``mean`` averages dimensions, ``global`` uses one mean over all of them.

    Args:
        paths: name -> config of a path. Padding 'reflect' by default, since black corners give the angle away.
        probes: of 'ridge' (closed form) and 'mlp' (the papers').
        parts: of 'all', 'inv', 'equi', 'cls', 'small_pixels'; those that the model lacks are left out.
        hidden, epochs: of the MLP.
        train, test: largest number of images; a sample of all, see :class:`FeatureStore`.
        draws: of theta for every image. Few images need several: with 3400 pairs, R2 of the MLP depends on its random
            numbers by 0.05 and more.
        seed: of the draws of theta; theirs alone.
    """

    pixels = 'small_pixels'  # the part that stands for raw pixels

    def __init__(
        self,
        paths: dict[str, dict] | None = None,
        probes: tuple[str, ...] = ('ridge', 'mlp'),
        parts: tuple[str, ...] = ('all', 'inv', 'equi'),
        hidden: int = 1024,
        epochs: int = 50,
        train: int | None = None,
        test: int | None = None,
        draws: int = 1,
        seed: int = 0,
    ) -> None:
        unknown = set(probes) - {'ridge', 'mlp'}
        if unknown:
            raise UserError(f"evaluation: probe '{unknown.pop()}' is none of ridge, mlp")
        if draws < 1:
            raise UserError(f'evaluation: draws={draws} must be at least 1')
        for name, limit in (('train', train), ('test', test)):
            if limit is not None and limit < 1:
                raise UserError(f'evaluation: {name}={limit} must be at least 1')
        self.paths = {name: build_path(path) for name, path in (paths or DEFAULT_PATHS).items()}
        self.probes, self.parts = probes, parts
        self.hidden, self.epochs, self.draws, self.seed = hidden, epochs, draws, seed
        self.limits = {'train': train, 'test': test}

    def on(self, part: str) -> Equivariance:
        """The same task on another part."""
        other = copy.copy(self)
        other.parts = (part,)
        return other

    def __call__(self, store: FeatureStore) -> dict[str, float]:
        """``r2/<path>/<part>/<probe>`` with ``r2_error/...`` (standard error over test images) and ``r2_global/...``,
        and means over paths ``r2/mean/<part>/<probe>``."""
        result: dict[str, float] = {}
        parts = [p for p in self.parts if 'pixels' in p or p in store.parts]
        for name, path in self.paths.items():
            pairs = {split: self._pairs(store, name, path, split, parts) for split in ('train', 'test')}
            for part in parts:
                (x, y), (x_test, y_test) = pairs['train'][part], pairs['test'][part]
                x, x_test = standardize(x, x_test)
                for probe in self.probes:
                    found = self._fit(probe, x, y, x_test)
                    result[f'r2/{name}/{part}/{probe}'] = r2_mean(found, y_test)
                    result[f'r2_global/{name}/{part}/{probe}'] = r2_global(found, y_test)
                    result[f'r2_error/{name}/{part}/{probe}'] = r2_error(found, y_test, self.draws)
        for part in parts:
            for probe in self.probes:
                values = [result[f'r2/{name}/{part}/{probe}'] for name in self.paths]
                result[f'r2/mean/{part}/{probe}'] = sum(values) / len(values)
        return result

    def _fit(self, probe: str, x: Tensor, y: Tensor, x_test: Tensor) -> Tensor:
        if probe == 'ridge':
            return fit_ridge(x, y, x_test, draws=self.draws)
        return fit_mlp(x, y, x_test, self.hidden, self.epochs, seed=self.seed)

    def _pairs(
        self, store: FeatureStore, name: str, path: TransformPath, split: str, parts: list[str]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Part -> (pair features ``[draws * n, 2 D]``, scaled theta ``[draws * n, P]``)."""
        images = store.images(split)[: self.limits[split]]
        generator = torch.Generator().manual_seed(self.seed + zlib.crc32(f'{name}/{split}'.encode()))
        theta = path.sample(self.draws * len(images), generator)
        moved = torch.cat(
            [
                path.apply(i, t)
                for draw in theta.split(len(images))
                for i, t in zip(images.split(512), draw.split(512), strict=True)
            ]
        )
        key = f'{split}/{name}'
        pairs = {}
        for part in parts:
            before = store.features(split, part)[: len(images)].repeat(self.draws, 1)
            pairs[part] = (torch.cat([before, store.of(key, moved, part)], 1), path.scaled(theta))
        store.forget(key)
        return pairs
