"""Contrastive, positive-pair and redundancy losses: float64 loops, values by hand, symmetries, stop-gradients."""

from __future__ import annotations

import math

import pytest
import torch

from eqssl.models.heads.contrastive import noisy_labels
from eqssl.models.losses import (
    barlow_twins,
    byol_regression,
    cross_correlation,
    info_nce,
    koleo,
    negative_cosine,
    nt_xent,
    supervised_contrastive,
    vicreg_terms,
)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def unit(v):
    length = math.sqrt(dot(v, v))
    return [x / length for x in v]


# -- contrastive --------------------------------------------------------------------------------------------------


def test_nt_xent_equals_the_loop():
    z, tau = random(2, 5, 4), 0.3
    rows = [unit(v) for v in z.flatten(0, 1).tolist()]
    total, hits = 0.0, 0
    for i, anchor in enumerate(rows):
        others = {j: dot(anchor, v) / tau for j, v in enumerate(rows) if j != i}
        positive = (i + 5) % 10
        total += -others[positive] + math.log(sum(math.exp(s) for s in others.values()))
        hits += max(others, key=others.get) == positive
    loss, top1 = nt_xent(z, tau)
    assert loss.item() == pytest.approx(total / 10, rel=1e-12) and top1.item() == pytest.approx(hits / 10)


def test_nt_xent_by_hand():
    """Two images, both views equal and orthogonal to the other image: -1 + ln(e + 2) at tau = 1."""
    z = torch.eye(2).expand(2, 2, 2)
    loss, top1 = nt_xent(z, 1.0)
    assert loss.item() == pytest.approx(-1 + math.log(math.e + 2), rel=1e-6) and top1 == 1


def test_info_nce_equals_the_loop_and_by_hand():
    q, k, tau = random(6, 3), random(6, 3, seed=1), 0.2
    total = 0.0
    for i, query in enumerate(q.tolist()):
        scores = [dot(unit(query), unit(key)) / tau for key in k.tolist()]
        total += -scores[i] + math.log(sum(math.exp(s) for s in scores))
    assert info_nce(q, k, tau)[0].item() == pytest.approx(total / 6, rel=1e-12)
    eye = torch.eye(2)
    assert info_nce(eye, eye, 1.0)[0].item() == pytest.approx(-1 + math.log(math.e + 1), rel=1e-6)


def test_info_nce_sends_no_gradient_into_keys():
    q, k = random(4, 3).requires_grad_(), random(4, 3, seed=1).requires_grad_()
    info_nce(q, k, 0.2)[0].backward()
    assert q.grad is not None and k.grad is None


def test_supcon_equals_the_loop():
    z, labels, tau = random(2, 6, 4), torch.tensor([0, 1, 0, 2, 1, 0]), 0.1
    rows, classes = [unit(v) for v in z.flatten(0, 1).tolist()], labels.tolist() * 2
    total = 0.0
    for i, anchor in enumerate(rows):
        others = {j: dot(anchor, v) / tau for j, v in enumerate(rows) if j != i}
        log_sum = math.log(sum(math.exp(s) for s in others.values()))
        positives = [s - log_sum for j, s in others.items() if classes[j] == classes[i]]
        total -= sum(positives) / len(positives)
    assert supervised_contrastive(z, labels, tau).item() == pytest.approx(total / 12, rel=1e-12)


def test_supcon_by_hand_and_without_common_labels_it_is_nt_xent():
    """One class, all embeddings equal: every one of three candidates has probability 1/3."""
    same = torch.ones(2, 2, 3)
    assert supervised_contrastive(same, torch.zeros(2, dtype=torch.long), 0.5).item() == pytest.approx(math.log(3))
    z = random(2, 5, 4)
    a, b = supervised_contrastive(z, torch.arange(5), 0.2), nt_xent(z, 0.2)[0]
    torch.testing.assert_close(a, b)


def test_noisy_labels_hit_their_share_never_keep_the_class_and_stay_with_the_image():
    index = torch.arange(20000)
    labels = index % 10
    noisy = noisy_labels(labels, index, 0.3, 10)
    wrong = noisy != labels
    assert wrong.float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert noisy.min() >= 0 and noisy.max() <= 9
    shift = (noisy - labels)[wrong] % 10
    assert shift.bincount(minlength=10)[1:].float().div(len(shift)).sub(1 / 9).abs().max() < 0.02
    order = torch.randperm(20000)
    assert torch.equal(noisy_labels(labels[order], index[order], 0.3, 10), noisy[order])
    assert noisy_labels(labels, index, 0.0, 10) is labels
    assert (noisy_labels(labels, index, 1.0, 10) != labels).all()


# -- positive pairs -----------------------------------------------------------------------------------------------


def test_cosine_losses_by_hand_and_loop():
    x, y = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    assert byol_regression(x, x).item() == pytest.approx(0) and byol_regression(x, y).item() == pytest.approx(2)
    assert byol_regression(x, -x).item() == pytest.approx(4)
    assert negative_cosine(x, x).item() == pytest.approx(-1) and negative_cosine(x, y).item() == pytest.approx(0)
    p, z = random(5, 4), random(5, 4, seed=1)
    rows = list(zip(p.tolist(), z.tolist(), strict=True))
    squared = [sum((a - b) ** 2 for a, b in zip(unit(u), unit(v), strict=True)) for u, v in rows]
    assert byol_regression(p, z).item() == pytest.approx(sum(squared) / 5, rel=1e-12)


def test_cosine_losses_stop_the_gradient_at_the_target():
    p, z = random(4, 3).requires_grad_(), random(4, 3, seed=1).requires_grad_()
    (negative_cosine(p, z) + byol_regression(p, z)).backward()
    assert p.grad is not None and z.grad is None


# -- redundancy ---------------------------------------------------------------------------------------------------


def covariance(rows, i, j):
    n = len(rows)
    means = [sum(r[k] for r in rows) / n for k in (i, j)]
    return sum((r[i] - means[0]) * (r[j] - means[1]) for r in rows) / (n - 1)


def test_vicreg_terms_equal_the_loop():
    a, b = random(6, 4), 0.3 * random(6, 4, seed=1)
    invariance = (
        sum((x - y) ** 2 for u, v in zip(a.tolist(), b.tolist(), strict=True) for x, y in zip(u, v, strict=True)) / 24
    )
    variance, cov = 0.0, 0.0
    for rows in (a.tolist(), b.tolist()):
        variance += sum(max(0.0, 1 - math.sqrt(covariance(rows, j, j) + 1e-4)) for j in range(4)) / 4 / 2
        cov += sum(covariance(rows, i, j) ** 2 for i in range(4) for j in range(4) if i != j) / 4
    got = [term.item() for term in vicreg_terms(a, b)]
    assert got == pytest.approx([invariance, variance, cov], rel=1e-10)


def test_vicreg_by_hand():
    """Rows (0, 0) and (1, 1): every variance and covariance is 1/2."""
    z = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    invariance, variance, cov = vicreg_terms(z, z)
    assert invariance == 0
    assert variance.item() == pytest.approx(1 - math.sqrt(0.5001), rel=1e-6) and cov.item() == pytest.approx(0.5)


def test_barlow_twins_equals_the_loop():
    a, b = random(7, 3), random(7, 3, seed=1)

    def standardized(rows):
        columns = []
        for j in range(3):
            column = [r[j] for r in rows]
            mean = sum(column) / 7
            var = sum((x - mean) ** 2 for x in column) / 7
            columns.append([(x - mean) / math.sqrt(var + 1e-5) for x in column])
        return columns

    x, y = standardized(a.tolist()), standardized(b.tolist())
    c = [[dot(x[i], y[j]) / 7 for j in range(3)] for i in range(3)]
    want = sum((1 - c[i][j]) ** 2 if i == j else 0.01 * c[i][j] ** 2 for i in range(3) for j in range(3))
    assert barlow_twins(a, b, 0.01).item() == pytest.approx(want, rel=1e-10)


def test_barlow_twins_by_hand():
    """Two equal columns +1, -1: all four correlations are 1 / (1 + 1e-5)."""
    z = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    c = 1 / (1 + 1e-5)
    assert barlow_twins(z, z, 0.5).item() == pytest.approx(2 * (1 - c) ** 2 + 0.5 * 2 * c**2, rel=1e-10)
    torch.testing.assert_close(cross_correlation(z, z), torch.full((2, 2), c, dtype=torch.float64))


def test_koleo_equals_the_loop_and_by_hand():
    z = random(6, 3)
    rows = [unit(v) for v in z.tolist()]
    total = 0.0
    for i, u in enumerate(rows):
        total -= math.log(min(math.dist(u, v) for j, v in enumerate(rows) if j != i))
    assert koleo(z).item() == pytest.approx(total / 6, rel=1e-6)
    assert koleo(torch.eye(2)).item() == pytest.approx(-math.log(math.sqrt(2)), rel=1e-6)


# -- properties ---------------------------------------------------------------------------------------------------

PAIR_LOSSES = {
    'nt_xent': lambda a, b: nt_xent(torch.stack([a, b]), 0.2)[0],
    'info_nce': lambda a, b: info_nce(a, b, 0.2)[0],
    'byol': byol_regression,
    'simsiam': negative_cosine,
    'vicreg': lambda a, b: sum(vicreg_terms(a, b)),
    'barlow': lambda a, b: barlow_twins(a, b, 0.005),
    'koleo': lambda a, b: koleo(a) + koleo(b),
    'supcon': lambda a, b: supervised_contrastive(torch.stack([a, b]), torch.zeros(len(a)), 0.2),
}


@pytest.mark.parametrize('name', PAIR_LOSSES)
def test_the_order_of_the_batch_does_not_matter(name):
    a, b, order = random(6, 4), random(6, 4, seed=1), torch.randperm(6)
    torch.testing.assert_close(PAIR_LOSSES[name](a, b), PAIR_LOSSES[name](a[order], b[order]))


@pytest.mark.parametrize('name', ['nt_xent', 'byol', 'simsiam', 'vicreg', 'barlow', 'koleo', 'supcon'])
def test_symmetric_losses_are_symmetric(name):
    a, b = random(6, 4), random(6, 4, seed=1)
    torch.testing.assert_close(PAIR_LOSSES[name](a, b), PAIR_LOSSES[name](b, a))


@pytest.mark.parametrize('name', ['nt_xent', 'info_nce', 'byol', 'simsiam', 'koleo', 'supcon'])
def test_losses_on_the_sphere_ignore_lengths(name):
    a, b = random(6, 4), random(6, 4, seed=1)
    torch.testing.assert_close(PAIR_LOSSES[name](3 * a, 0.2 * b), PAIR_LOSSES[name](a, b), rtol=1e-6, atol=1e-6)


def test_barlow_twins_ignores_shift_and_scale_of_dimensions_and_vicreg_ignores_shift_of_both():
    a, b = random(9, 4), random(9, 4, seed=1)
    torch.testing.assert_close(PAIR_LOSSES['barlow'](5 * a + 2, b), PAIR_LOSSES['barlow'](a, b), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(PAIR_LOSSES['vicreg'](a + 3, b + 3), PAIR_LOSSES['vicreg'](a, b))


@pytest.mark.parametrize('name', PAIR_LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    a, b = random(4, 3).requires_grad_(), random(4, 3, seed=1)
    assert torch.autograd.gradcheck(lambda x: PAIR_LOSSES[name](x, b), (a,), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize('name', PAIR_LOSSES)
def test_half_precision_inputs_are_computed_in_float32(name):
    a, b = random(6, 4).bfloat16(), random(6, 4, seed=1).bfloat16()
    got = PAIR_LOSSES[name](a, b)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, PAIR_LOSSES[name](a.float(), b.float()))
