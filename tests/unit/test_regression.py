"""Regression probes and R2 on problems whose answer is known, and against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqssl.evaluation.regression import fit_mlp, fit_ridge, r2_error, r2_global, r2_mean, standardize


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_r2_definitions_by_hand():
    """Two dimensions with means 0 and 10: the global mean (5) inflates TSS, hence R2."""
    target = torch.tensor([[-1.0, 9.0], [1.0, 11.0]])
    prediction = torch.tensor([[-1.0, 10.0], [1.0, 10.0]])
    assert r2_mean(prediction, target) == pytest.approx((1 + 0) / 2)
    tss = sum((x - 5) ** 2 for x in (-1, 9, 1, 11))
    assert r2_global(prediction, target) == pytest.approx(1 - 2 / tss)
    assert r2_mean(target.mean(0).expand(2, 2), target) == pytest.approx(0)


def test_ridge_recovers_a_linear_map_and_equals_the_normal_equations():
    x, w = random(400, 6), random(6, 2, seed=1)
    y = x @ w + 3 + 0.01 * random(400, 2, seed=2)
    assert r2_mean(fit_ridge(x[:300], y[:300], x[300:]), y[300:]) > 0.999
    got = fit_ridge(x[:300], y[:300], x[300:], penalties=(0.1,))
    a, b = x[:300].double().numpy(), y[:300].double().numpy()
    ac, bc = a - a.mean(0), b - b.mean(0)
    w = np.linalg.solve(ac.T @ ac + 0.1 * 300 * np.eye(6), ac.T @ bc)
    want = (x[300:].double().numpy() - a.mean(0)) @ w + b.mean(0)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-8)


def test_ridge_survives_more_features_than_samples_and_pure_noise():
    x, y = random(50, 200), random(50, 1, seed=3)
    assert r2_mean(fit_ridge(x[:40], y[:40], x[40:]), y[40:]) < 0.5


def test_mlp_learns_what_a_line_cannot_and_leaves_the_random_state_alone():
    x = random(1500, 2)
    y = (x[:, :1] * x[:, 1:]) / 2
    state = torch.get_rng_state()
    found = fit_mlp(x[:1200], y[:1200], x[1200:], hidden=64, epochs=40)
    assert r2_mean(found, y[1200:]) > 0.9 > 0.2 > r2_mean(fit_ridge(x[:1200], y[:1200], x[1200:]), y[1200:])
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(found, fit_mlp(x[:1200], y[:1200], x[1200:], hidden=64, epochs=40))


def test_standardize_handles_constant_features():
    x, y = standardize(torch.tensor([[1.0, 5], [3, 5]]), torch.tensor([[2.0, 6]]))
    assert x.tolist() == [[-1, 0], [1, 0]] and y.tolist() == [[0, 0]]


@pytest.mark.parametrize('draws', [1, 3])
def test_the_penalty_is_chosen_by_leaving_images_out(draws):
    """Against a loop that refits without each image (the penalty's weight stays that of all samples)."""
    n, penalties = 8, (1e-3, 1e-1, 10.0)
    x = random(draws * n, 12).double()
    y = (x[:, :2] + 0.7 * random(draws * n, 2, seed=5)).double()
    errors = []
    for penalty in penalties:
        missed = []
        for image in range(n):
            keep = torch.arange(draws * n) % n != image
            mean = x.mean(0)  # centered by all samples: the intercept is one more column without penalty
            a = torch.cat([x - mean, torch.ones(draws * n, 1)], 1).double()
            ridge = penalty * draws * n * torch.eye(13).double()
            ridge[-1, -1] = 0
            w = torch.linalg.solve(a[keep].T @ a[keep] + ridge, a[keep].T @ y[keep])
            missed.append((y[~keep] - a[~keep] @ w).square())
        errors.append(torch.cat(missed).mean().item())
    best = penalties[int(np.argmin(errors))]
    got, want = fit_ridge(x, y, x, penalties, draws), fit_ridge(x, y, x, (best,), draws)
    torch.testing.assert_close(got, want)
    others = [fit_ridge(x, y, x, (p,), draws) for p in penalties if p != best]
    assert all((got - other).abs().max() > 1e-3 for other in others)


def test_ridge_of_class_ordered_rows_equals_that_of_shuffled_ones():
    x, y = random(300, 40), random(300, 1, seed=3)
    y = x[:, :1] + (torch.arange(300)[:, None] // 60).float() + 0.5 * y
    order = torch.randperm(300, generator=torch.Generator().manual_seed(2))
    test = random(50, 40, seed=4)
    torch.testing.assert_close(fit_ridge(x, y, test), fit_ridge(x[order], y[order], test))


def test_r2_of_constant_columns_is_1_where_met_and_else_0():
    target = torch.stack([torch.full((6,), 0.1), torch.arange(6.0)], 1)
    assert r2_mean(target, target) == 1 and r2_mean(target + torch.tensor([0.5, 0.0]), target) == 0.5
    constant = torch.full((6, 2), 0.1)
    assert r2_global(constant, constant) == 1 and r2_global(constant + 1, constant) == 0
    assert r2_mean(constant * (1 + 1e-9), constant) == 1, 'within rounding'


def test_almost_constant_features_neither_vanish_nor_decide_alone():
    for seed in range(6):
        x, noise = random(300, 8, seed=seed).double(), random(300, 1, seed=seed + 50).double()
        y = x[:, :2]
        rare = torch.zeros(300, 1).double()
        rare[:200] = 3 + 1e-5 * noise[:200]  # hardly moves in training,
        rare[200:] = 3 + noise[200:]  # and moves in the test images
        features = torch.cat([x, rare], 1).float()
        train, test = standardize(features[:200], features[200:])
        assert r2_mean(fit_ridge(train, y[:200], test), y[200:]) > 0.95
    for scale in (1.0, 1e-3, 1e-6, 1e-9):
        train, test = standardize(scale * x[:200].float(), scale * x[200:].float())
        assert r2_mean(fit_ridge(train, y[:200], test), y[200:]) > 0.999, scale


@pytest.mark.parametrize('draws', [1, 3])
def test_the_standard_error_of_r2_is_that_of_resampled_images(draws):
    rng = np.random.default_rng(0)
    images, dims = 60, 2
    target = 3 + rng.normal(size=(draws, images, dims))  # R2 is about the mean, not about 0
    bias = rng.normal(size=(1, images, dims))  # of an image, shared by its draws
    prediction = target + 0.5 * bias + 0.2 * rng.normal(size=target.shape)
    flat = [torch.tensor(x.reshape(-1, dims)) for x in (prediction, target)]
    found = []
    for _ in range(400):
        chosen = rng.integers(0, images, images)
        parts = [torch.tensor(x[:, chosen].reshape(-1, dims)) for x in (prediction, target)]
        found.append(r2_mean(*parts))
    assert r2_error(*flat, draws, samples=400) == pytest.approx(float(np.std(found)), rel=0.2)
    assert r2_error(*flat, draws) == r2_error(*flat, draws)


def test_the_standard_error_of_r2_shrinks_with_the_root_of_the_number_of_images_and_is_0_for_one():
    torch.manual_seed(0)
    target = torch.randn(4000, 1)
    prediction = target + torch.randn(4000, 1)
    ratio = r2_error(prediction[:250], target[:250]) / r2_error(prediction, target)
    assert 2.5 < ratio < 6.5
    assert r2_error(prediction[:1], target[:1]) == 0
