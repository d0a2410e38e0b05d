"""Signs of collapse from features alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.evaluation.feature_store import FeatureStore
from eqssl.registry import EVALUATORS


def rankme(features: Tensor) -> float:
    """Effective rank exp(entropy of normalized singular values) (Garrido et al., ICML 2023, eq. 1).

    Compares runs of one method and drops within a run; its absolute value depends on the number of samples.

    Args:
        features: ``[n, D]``.
    """
    values = torch.linalg.svdvals(features.double())
    p = values / values.sum().clamp(min=1e-12) + 1e-7
    return float(torch.exp(-(p * p.log()).sum()))


def feature_std(features: Tensor) -> float:
    """Mean over dimensions of the std of L2-normalized features, times sqrt(D): 1 spread on the sphere, 0 collapsed."""
    normalized = F.normalize(features.double(), dim=1)
    return float(normalized.std(0, correction=0).mean() * features.shape[1] ** 0.5)


@EVALUATORS.register_module()
class Collapse:
    """RankMe and feature std of the test features.

    Args:
        part: which features, see :class:`FeatureStore`.
    """

    name = 'collapse'
    pixels = None  # says nothing of raw pixels

    def __init__(self, part: str = 'cls') -> None:
        self.part = part

    def __call__(self, store: FeatureStore) -> dict[str, float]:
        """``{'rankme': ..., 'feature_std': ...}``."""
        features = store.features('test', self.part)
        return {'rankme': rankme(features), 'feature_std': feature_std(features)}
