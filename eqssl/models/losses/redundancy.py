"""Redundancy reduction: VICReg and Barlow Twins, statistics over the samples of all ranks, in float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.utils import dist
from eqssl.utils.precision import precise


def off_diagonal_energy(matrix: Tensor) -> Tensor:
    """Sum of squares outside the diagonal of ``[D, D]``."""
    return matrix.square().sum() - matrix.diagonal().square().sum()


def vicreg_terms(first: Tensor, second: Tensor, epsilon: float = 1e-4) -> tuple[Tensor, Tensor, Tensor]:
    """Invariance, variance, covariance (VICReg, Bardes et al. 2022, eq. 1 to 6, scaled as the official code).

    s = mean (z - z')^2; v = 1/2 sum over both views of mean_j max(0, 1 - sqrt(Var_j + epsilon)); c = sum over both
    views of 1/D sum_{i != j} Cov_ij^2. Variance and covariance are unbiased (n - 1).

    Args:
        first, second: ``[B, D]`` embeddings of this rank.
        epsilon: inside the square root.

    Returns:
        s of this rank's samples; v and c over the samples of all ranks (at least 2).
    """
    first, second = precise(first), precise(second)
    invariance = F.mse_loss(first, second)
    variance, covariance = [], []
    for z in dist.gather_with_gradient(torch.stack([first, second], dim=1)).unbind(1):
        centered = z - z.mean(0)
        cov = centered.T @ centered / (len(z) - 1)
        variance.append(F.relu(1 - (cov.diagonal() + epsilon).sqrt()).mean() / 2)
        covariance.append(off_diagonal_energy(cov) / z.shape[1])
    return invariance, torch.stack(variance).sum(), torch.stack(covariance).sum()


def cross_correlation(first: Tensor, second: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Cross-correlation ``[D, D]`` of two views over the samples of all ranks (Barlow Twins, eq. 2).

    Each dimension is standardized as by a batch norm without affine part over all ranks (biased variance plus epsilon).

    Args:
        first, second: ``[B, D]`` embeddings of this rank.
        epsilon: of the standardization.
    """
    both = precise(torch.stack([first, second]))
    count = both.shape[1] * dist.world_size()
    mean = dist.sum_with_gradient(both.sum(1)) / count
    centered = both - mean[:, None]
    variance = dist.sum_with_gradient(centered.square().sum(1)) / count
    a, b = centered / (variance + epsilon).sqrt()[:, None]
    return dist.sum_with_gradient(a.T @ b) / count


def barlow_twins(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """sum_i (1 - C_ii)^2 + weight sum_{i != j} C_ij^2 (Barlow Twins, Zbontar et al. 2021, eq. 1).

    Args:
        first, second: ``[B, D]`` embeddings of this rank.
        weight: lambda of the redundancy term.
    """
    c = cross_correlation(first, second)
    return (1 - c.diagonal()).square().sum() + weight * off_diagonal_energy(c)
