"""KoLeo: spreads features uniformly (Sablayrolles et al. 2019), as DINOv2 uses it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.utils import dist
from eqssl.utils.precision import precise


def koleo(features: Tensor, across_ranks: bool = True, epsilon: float = 1e-8) -> Tensor:
    """-mean log(distance to the nearest other sample), of L2-normalized features (DINOv2, section 4).

    Args:
        features: ``[B, D]`` of this rank.
        across_ranks: look for the neighbor among the samples of all ranks; the official DINOv2 code looks on its own
            rank only.
        epsilon: added to the difference and to the distance, as the official code does.

    Returns:
        the mean over this rank's samples; at least 2 samples must be there.
    """
    z = F.normalize(precise(features), dim=-1, eps=epsilon)
    everyone = dist.gather_with_gradient(z) if across_ranks else z
    first = dist.rank() * len(z) if across_ranks else 0
    with torch.no_grad():
        similarity = z @ everyone.T
        own = first + torch.arange(len(z), device=z.device)
        similarity.scatter_(1, own[:, None], -2.0)  # below every cosine
        nearest = similarity.argmax(1)
    distance = F.pairwise_distance(z, everyone[nearest], p=2, eps=epsilon)
    return -(distance + epsilon).log().mean()
