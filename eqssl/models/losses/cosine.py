"""Losses of positive pairs alone, on L2-normalized vectors in float32."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from eqssl.utils.precision import precise


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """-cos(p, stop-gradient(z)), mean over the batch (SimSiam, Chen & He 2021, eq. 1).

    Args:
        prediction: ``[B, D]``.
        target: ``[B, D]``; no gradient flows into it.
    """
    return -F.cosine_similarity(precise(prediction), precise(target.detach()), dim=-1).mean()


def byol_regression(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared distance of L2-normalized vectors, 2 - 2 cos(p, z), mean over the batch (BYOL, Grill et al. 2020, eq. 2).

    Args:
        prediction: ``[B, D]``.
        target: ``[B, D]``; no gradient flows into it.
    """
    return 2 + 2 * negative_cosine(prediction, target)
