"""How much of an image's true parameters can be read from its features (sets with latents, such as renders)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from eqssl.evaluation.feature_store import FeatureStore
from eqssl.evaluation.regression import fit_ridge, r2_mean, require_finite, standardize
from eqssl.evaluation.task import EvaluationTask
from eqssl.registry import EVALUATION_TASKS
from eqssl.utils.errors import UserError

NO_LATENTS = "evaluation task latents needs data with latents (an array '<split>_latents')"


@EVALUATION_TASKS.register_module()
class LatentRegression(EvaluationTask):
    """Ridge R2 (mean over dimensions) of groups of latents from the features of single images, as on 3DIEBench.

    Args:
        groups: name -> dict(columns=[...], circular=False); circular values in [0, 1) become cosine and sine.
        part: which features, see :class:`FeatureStore`.
    """

    pixels = 'small_pixels'  # the part that stands for raw pixels

    def __init__(self, groups: dict[str, dict], part: str = 'all') -> None:
        self.groups, self.part = groups, part

    def check(self, sources: dict[str, Any]) -> None:
        """Both splits have latents."""
        if any(getattr(source, 'latents', None) is None for source in sources.values()):
            raise UserError(NO_LATENTS)

    def _targets(self, store: FeatureStore, split: str, group: dict) -> Tensor:
        latents = store.latents(split)
        if latents is None:
            raise UserError(NO_LATENTS)
        values = latents[:, group['columns']]
        if not group.get('circular', False):
            return values
        angle = 2 * math.pi * values
        return torch.cat([angle.cos(), angle.sin()], 1)

    def __call__(self, store: FeatureStore) -> dict[str, float]:
        """``latent/<group>``."""
        x, x_test = standardize(*(store.features(split, self.part) for split in ('train', 'test')))
        result = {}
        for name, group in self.groups.items():
            y, y_test = (self._targets(store, split, group) for split in ('train', 'test'))
            require_finite(f'evaluation task latents, group {name}', y, y_test, kind='latents')
            result[f'latent/{name}'] = r2_mean(fit_ridge(x, y, x_test), y_test)
        return result
