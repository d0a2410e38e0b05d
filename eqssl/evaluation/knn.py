"""Weighted k-nearest-neighbor classification on frozen features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.evaluation.feature_store import FeatureStore
from eqssl.evaluation.regression import require_finite
from eqssl.evaluation.task import LabelledTask, binomial_error
from eqssl.registry import EVALUATION_TASKS


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
class KNN(LabelledTask):
    """kNN top-1 of test images against training images.

    Args:
        k: neighbors.
        temperature: of the votes.
        part: which features, see :class:`FeatureStore`.
        optional: the task is left out where the images have no labels, instead of refused.
    """

    title = 'knn'
    pixels = 'pixels'  # the part that stands for raw pixels

    def __init__(self, k: int = 20, temperature: float = 0.07, part: str = 'cls', optional: bool = False) -> None:
        self.k, self.temperature, self.part, self.optional = k, temperature, part, optional

    def __call__(self, store: FeatureStore) -> dict[str, float]:
        """``knn_top1``, a share in [0, 1], and ``knn_error``, its standard error over test images (binomial)."""
        train, test = store.features('train', self.part), store.features('test', self.part)
        labels, wanted = self.labels(store)
        found = knn_predict(train, labels, test, self.k, self.temperature)
        share = float((found == wanted).float().mean())
        return {'knn_top1': share, 'knn_error': binomial_error(share, len(found))}
