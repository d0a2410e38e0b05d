"""Regression probes and the two definitions of R2."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor


def r2_global(prediction: Tensor, target: Tensor) -> float:
    """1 - RSS / TSS with ONE scalar mean over samples and dimensions (SIE's code).

    A dimension with an offset mean makes TSS larger and this value higher than :func:`r2_mean`.

    Args:
        prediction, target: ``[n, P]``.
    """
    prediction, target = prediction.double(), target.double()
    return float(1 - (target - prediction).square().sum() / (target - target.mean()).square().sum())


def r2_mean(prediction: Tensor, target: Tensor) -> float:
    """Mean over dimensions of 1 - RSS_d / TSS_d (scikit-learn's ``r2_score``, uniform average)."""
    return float(r2_per_dim(prediction, target).mean())


def r2_per_dim(prediction: Tensor, target: Tensor) -> Tensor:
    """R2 of every dimension, ``[P]`` float64."""
    prediction, target = prediction.double(), target.double()
    rss = (target - prediction).square().sum(0)
    return 1 - rss / (target - target.mean(0)).square().sum(0)


def standardize(train: Tensor, *others: Tensor) -> list[Tensor]:
    """Zero mean, unit variance by the training features; constant features become 0."""
    mean, std = train.mean(0), train.std(0, correction=0)
    scale = torch.where(std > 1e-6, 1 / std.clamp(min=1e-6), torch.zeros_like(std))
    return [(x - mean) * scale for x in (train, *others)]


def fit_ridge(
    x: Tensor, y: Tensor, x_test: Tensor, penalties: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
) -> Tensor:
    """Closed-form ridge regression; the penalty is chosen on the last fifth of the training samples.

    One eigendecomposition serves all penalties: w = V (S + n a I)^-1 V^T X^T y, in float64.

    Args:
        x: ``[n, D]`` standardized features.
        y: ``[n, P]`` targets.
        x_test: ``[m, D]``.
        penalties: a, per sample.

    Returns:
        ``[m, P]`` predictions.
    """
    x, y, x_test = x.double(), y.double(), x_test.double()
    cut = max(1, int(0.8 * len(x)))
    best, best_error = penalties[0], float('inf')
    if cut < len(x):
        for penalty, weight, offset in _solve(x[:cut], y[:cut], penalties):
            error = float((x[cut:] @ weight + offset - y[cut:]).square().mean())
            if error < best_error:
                best, best_error = penalty, error
    _, weight, offset = _solve(x, y, (best,))[0]
    return x_test @ weight + offset


def _solve(x: Tensor, y: Tensor, penalties: tuple[float, ...]) -> list[tuple[float, Tensor, Tensor]]:
    mean, offset = x.mean(0), y.mean(0)
    centered = x - mean
    values, vectors = torch.linalg.eigh(centered.T @ centered)
    projected = vectors.T @ (centered.T @ (y - offset))
    solutions = []
    for penalty in penalties:
        weight = vectors @ (projected / (values.clamp(min=0) + penalty * len(x))[:, None])
        solutions.append((penalty, weight, offset - mean @ weight))
    return solutions


def fit_mlp(
    x: Tensor,
    y: Tensor,
    x_test: Tensor,
    hidden: int = 1024,
    epochs: int = 50,
    batch_size: int = 256,
    lr: float = 1e-3,
    seed: int = 0,
) -> Tensor:
    """The papers' probe: MLP D - hidden - hidden - P with ReLU, MSE, Adam, no weight decay, last epoch.

    Args and result as :func:`fit_ridge`; the generator is its own, so that training's random state is untouched.
    """
    device = x.device
    generator = torch.Generator().manual_seed(seed)
    widths = [x.shape[1], hidden, hidden, y.shape[1]]
    layers: list[nn.Module] = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        linear = nn.utils.skip_init(nn.Linear, a, b)
        bound = a**-0.5
        for parameter in (linear.weight, linear.bias):
            parameter.data.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound)
        layers += [linear, nn.ReLU()]
    mlp = nn.Sequential(*layers[:-1]).to(device)
    x, y = x.float(), y.float().to(device)
    optimizer = torch.optim.Adam(mlp.parameters(), lr=lr, fused=True)
    with torch.enable_grad():
        for _ in range(epochs):
            for index in torch.randperm(len(x), generator=generator).to(device).split(batch_size):
                loss = (mlp(x[index]) - y[index]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return torch.cat([mlp(part) for part in x_test.float().split(4096)])
