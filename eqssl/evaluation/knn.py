"""Weighted k-nearest-neighbor classification on frozen features."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.evaluation.feature_store import FeatureStore
from eqssl.evaluation.regression import require_finite
from eqssl.evaluation.task import EvaluationTask
from eqssl.registry import EVALUATION_TASKS
from eqssl.utils.errors import UserError

NO_LABELS = (
    "evaluation task knn needs labels: set with_label=True in evaluation.train and evaluation.test, or leave 'knn' out"
)


def unlabelled(sources: dict[str, Any]) -> bool:
    """Whether the first image of a split has no label."""
    return any(source.label(0) < 0 for source in sources.values())


def _directions(x: Tensor) -> Tensor:
    """Rows of length 1, float32, however small or large the features are."""
    x = x.float()
    return F.normalize(x / x.abs().amax(1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny), dim=1)


def knn_predict(
    train: Tensor, labels: Tensor, queries: Tensor, k: int = 20, temperature: float = 0.07, chunk: int = 1024
) -> Tensor:
    """Cosine kNN, each neighbor votes exp(similarity / temperature) (Wu et al. 2018; DINO's protocol).

    Args:
        train: ``[n, D]`` features.
        labels: ``[n]`` classes.
        queries: ``[m, D]``.
        k: neighbors.
        temperature: of the votes.
        chunk: queries at a time; memory is chunk * (n + classes).

    Returns:
        ``[m]`` classes.

    Raises:
        UserError: non-finite features.
    """
    require_finite('kNN', train, queries)
    train, queries = _directions(train), _directions(queries)
    classes = int(labels.max()) + 1
    result = []
    for part in queries.split(chunk):
        similarity, index = (part @ train.T).topk(min(k, len(train)), dim=1)
        weight = ((similarity - similarity[:, :1]) / temperature).exp()
        votes = weight.new_zeros(len(part), classes).scatter_add_(1, labels[index], weight)
        result.append(votes.argmax(1))
    return torch.cat(result)


@EVALUATION_TASKS.register_module()
class KNN(EvaluationTask):
    """kNN top-1 of test images against training images.

    Args:
        k: neighbors.
        temperature: of the votes.
        part: which features, see :class:`FeatureStore`.
        optional: the task is left out where the images have no labels, instead of refused.
    """

    pixels = 'pixels'  # the part that stands for raw pixels

    def __init__(self, k: int = 20, temperature: float = 0.07, part: str = 'cls', optional: bool = False) -> None:
        self.k, self.temperature, self.part, self.optional = k, temperature, part, optional

    def leave_out(self, sources: dict[str, Any]) -> str:
        """Why, where it is optional and the first images have no label."""
        return 'the images have no labels' if self.optional and unlabelled(sources) else ''

    def check(self, sources: dict[str, Any]) -> None:
        """Both splits have labels, as far as their first images tell."""
        if unlabelled(sources):
            raise UserError(NO_LABELS)

    def __call__(self, store: FeatureStore) -> dict[str, float]:
        """``knn_top1``, a share in [0, 1], and ``knn_error``, its standard error over test images (binomial)."""
        train, test = store.features('train', self.part), store.features('test', self.part)
        if any(int(store.labels(split).min()) < 0 for split in ('train', 'test')):
            raise UserError(NO_LABELS)
        found = knn_predict(train, store.labels('train'), test, self.k, self.temperature)
        share = float((found == store.labels('test')).float().mean())
        return {'knn_top1': share, 'knn_error': math.sqrt(share * (1 - share) / len(found))}
