"""Regression probes and the two definitions of R2."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.utils.errors import UserError


def require_finite(what: str, *features: Tensor, kind: str = 'features') -> None:
    """Refuse features (or another ``kind`` of values) that are not finite.

    Raises:
        UserError: names them.
    """
    for x in features:
        bad = ~torch.isfinite(x)
        if bool(bad.any()):
            rows = int(bad.flatten(1).any(1).sum()) if x.ndim > 1 else int(bad.sum())
            why = '; the network has diverged, or its precision is too low' if kind == 'features' else ''
            raise UserError(f'{what}: {rows} of {len(x)} samples have non-finite {kind}{why}')


def _explained(rss: Tensor, target: Tensor, tss: Tensor) -> Tensor:
    """1 - RSS / TSS; for a constant target 1 where it was met to six digits, else 0 (scikit-learn: 1 or 0)."""
    low, high = target.amin(0), target.amax(0)
    if rss.ndim == 0:
        low, high = target.min(), target.max()
    constant = low == high
    met = rss <= target.numel() / rss.numel() * (1e-6 * high.abs()).square()
    return torch.where(constant, met.double(), 1 - rss / torch.where(constant, torch.ones_like(tss), tss))


def r2_global(prediction: Tensor, target: Tensor) -> float:
    """1 - RSS / TSS with ONE scalar mean over samples and dimensions (SIE's code).

    A dimension with an offset mean makes TSS larger and this value higher than :func:`r2_mean`.

    Args:
        prediction, target: ``[n, P]``.
    """
    prediction, target = prediction.double(), target.double()
    rss, tss = (target - prediction).square().sum(), (target - target.mean()).square().sum()
    return float(_explained(rss, target, tss))


def r2_mean(prediction: Tensor, target: Tensor) -> float:
    """Mean over dimensions of 1 - RSS_d / TSS_d (scikit-learn's ``r2_score``, uniform average)."""
    return float(r2_per_dim(prediction, target).mean())


def r2_per_dim(prediction: Tensor, target: Tensor) -> Tensor:
    """R2 of every dimension, ``[P]`` float64; a constant dimension has 1 where it was met, else 0."""
    prediction, target = prediction.double(), target.double()
    rss = (target - prediction).square().sum(0)
    return _explained(rss, target, (target - target.mean(0)).square().sum(0))


def r2_error(prediction: Tensor, target: Tensor, draws: int = 1, samples: int = 200) -> float:
    """Standard error of :func:`r2_mean` over images, by the bootstrap (Efron 1979) with fixed random numbers.

    Args:
        prediction, target: ``[draws * n, P]``; row ``i`` of every draw belongs to image ``i``, which is drawn whole.
        draws: of theta for every image.
        samples: of the bootstrap.

    Returns:
        the standard deviation of R2 over the samples; 0 for a single image.
    """
    prediction, target = prediction.double(), target.double()
    images = len(target) // draws
    terms = torch.stack([(target - prediction).square(), target.square(), target])  # [3, draws * n, P]
    terms = terms.unflatten(1, (draws, images)).sum(1)
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(images, (samples, images), generator=generator)
    counts = torch.zeros(samples, images, dtype=torch.float64)
    counts.scatter_add_(1, chosen, torch.ones_like(chosen, dtype=torch.float64))
    rss, squares, sums = torch.einsum('sn,knp->ksp', counts, terms)
    tss = squares - sums.square() / (draws * images)
    r2 = torch.where(tss > 0, 1 - rss / torch.where(tss > 0, tss, 1.0), 0.0)
    return float(r2.mean(1).std(correction=0))


def standardize(train: Tensor, *others: Tensor) -> list[Tensor]:
    """Zero mean, unit variance by the training features, whatever their scale.

    A feature that varies by no more than rounding does (against its own size) becomes 0. Values of the others that lie
    outside the training range by more than its width are pulled back to there: a feature that hardly varies in training
    would otherwise be multiplied by a huge number and decide alone.

    Args:
        train: ``[n, D]``.
        others: ``[m, D]`` each.

    Raises:
        UserError: non-finite features.
    """
    require_finite('features', train, *others)
    precise = train.double()
    mean, std = precise.mean(0), precise.std(0, correction=0)
    size = precise.abs().amax(0)
    rounding = 8 * torch.finfo(train.dtype).eps * size
    varies = std > rounding
    scale = torch.where(varies, 1 / torch.where(varies, std, torch.ones_like(std)), torch.zeros_like(std))
    low, high = precise.amin(0), precise.amax(0)
    width = high - low
    scaled = [(precise - mean) * scale]
    scaled += [(x.double().clamp(low - width, high + width) - mean) * scale for x in others]
    return [x.to(train.dtype) for x in scaled]


def fit_ridge(
    x: Tensor,
    y: Tensor,
    x_test: Tensor,
    penalties: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
    draws: int = 1,
) -> Tensor:
    """Closed-form ridge regression; the penalty is the one with the least leave-one-out error on the training samples.

    Neither depends on the order of the samples. One eigendecomposition serves all penalties, w = V (S + n a I)^-1 V^T
    X^T y, and the error without refitting (Allen's PRESS): what a model without the samples g would miss of them is
    (I - H_gg)^-1 (y_g - y^_g), H the hat matrix. In float64.

    Args:
        x: ``[draws * n, D]`` standardized features.
        y: ``[draws * n, P]`` targets.
        x_test: ``[m, D]``.
        penalties: a, per sample.
        draws: rows i, n + i, 2 n + i, ... belong to one image and are left out together.

    Returns:
        ``[m, P]`` predictions.

    Raises:
        UserError: non-finite features or targets.
    """
    require_finite('ridge regression', x, x_test)
    require_finite('ridge regression', y, kind='targets')
    x, y, x_test = x.double(), y.double(), x_test.double()
    mean, offset, count = x.mean(0), y.mean(0), len(x)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean))
    rotated = (x - mean) @ vectors  # [N, D]
    projected = rotated.T @ (y - offset)
    best, best_error = torch.zeros_like(projected), float('inf')
    for penalty in penalties:
        shrunk = 1 / (values.clamp(min=0) + penalty * count)
        error = float(_left_out(rotated, shrunk, y - offset, projected, draws).square().mean())
        if error < best_error:
            best, best_error = shrunk[:, None] * projected, error
    return (x_test - mean) @ (vectors @ best) + offset


def _left_out(rotated: Tensor, shrunk: Tensor, y: Tensor, projected: Tensor, draws: int) -> Tensor:
    """Residuals ``[n, draws, P]`` of samples that the model did not see, see :func:`fit_ridge`."""
    count = len(rotated)

    draws = draws if count > draws else 1

    def by_image(rows: Tensor) -> Tensor:
        return rows.unflatten(0, (draws, count // draws)).transpose(0, 1)

    residual = by_image(y - rotated @ (shrunk[:, None] * projected))
    own = by_image(rotated)
    hat = torch.einsum('nad,d,nbd->nab', own, shrunk, own) + 1 / count
    unseen = torch.eye(draws, dtype=hat.dtype, device=hat.device) - hat
    if draws == 1:
        return residual / unseen.clamp(min=1e-12)
    return torch.linalg.solve(unseen, residual)


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
    require_finite('MLP probe', x, x_test)
    require_finite('MLP probe', y, kind='targets')
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
