"""Signs of collapse from features alone."""

from __future__ import annotations

import torch

from eqssl.evaluation.feature_store import FeatureStore
from eqssl.evaluation.task import EvaluationTask
from eqssl.models.monitors import rankme, spread
from eqssl.registry import EVALUATION_TASKS


@EVALUATION_TASKS.register_module()
class Collapse(EvaluationTask):
    """RankMe and feature std of the test features.

    Args:
        part: which features, see :class:`FeatureStore`.
    """

    def __init__(self, part: str = 'cls') -> None:
        self.part = part

    def __call__(self, store: FeatureStore) -> dict[str, float]:
        """``{'rankme': ..., 'feature_std': ...}``."""
        features = store.features('test', self.part)
        features = features / features.abs().max().clamp(min=torch.finfo(features.dtype).tiny)
        return {'rankme': rankme(features), 'feature_std': float(spread(features))}
