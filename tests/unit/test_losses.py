"""Losses against float64 loops and values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from eqssl.models.losses import cls_cross_entropy, patch_cross_entropy, teacher_probabilities


def softmax(row):
    top = max(row)
    e = [math.exp(x - top) for x in row]
    return [x / sum(e) for x in e]


def cross_entropy(q, logits, temperature):
    p = softmax([x / temperature for x in logits])
    return -sum(a * math.log(b) for a, b in zip(q, p, strict=True))


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_cls_loss_equals_the_double_loop_over_view_pairs():
    student, teacher = random(5, 3, 7), teacher_probabilities(random(2, 3, 7, seed=1), random(7, seed=2), 0.3)
    total, pairs = 0.0, 0
    for g in range(2):
        for v in range(5):
            if v == g:
                continue
            pairs += 1
            total += sum(cross_entropy(teacher[g, b].tolist(), student[v, b].tolist(), 0.1) for b in range(3)) / 3
    assert cls_cross_entropy(student, teacher, 0.1).item() == pytest.approx(total / pairs, rel=1e-5)


def test_cls_loss_by_hand():
    """Two views, one image, two prototypes: teacher (1, 0) and (0.5, 0.5); student logits 0 and (ln 3, 0) at T = 1.

    H(q1, p2) = -ln(3/4); H(q2, p1) = ln 2; mean of the two.
    """
    student = torch.tensor([[[0.0, 0.0]], [[math.log(3), 0.0]]])
    teacher = torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]]])
    want = (-math.log(3 / 4) + math.log(2)) / 2
    assert cls_cross_entropy(student, teacher, 1.0).item() == pytest.approx(want, rel=1e-6)


def test_teacher_probabilities_by_hand_and_loop():
    got = teacher_probabilities(torch.tensor([[1.0, 0.0]]), torch.tensor([0.0, 1.0]), 2.0)
    e = math.e
    assert got[0].tolist() == pytest.approx([e / (1 + e), 1 / (1 + e)])
    logits, center = random(4, 6), random(6, seed=5)
    for row, found in zip(logits, teacher_probabilities(logits, center, 0.07), strict=True):
        want = softmax([(x - c) / 0.07 for x, c in zip(row.tolist(), center.tolist(), strict=True)])
        assert found.tolist() == pytest.approx(want, abs=1e-6)


def test_patch_loss_equals_the_loop_mean_per_view_then_over_views():
    """Three of four views have masks; padding must not count; a view without a mask contributes 0."""
    masked = {0: [1, 4], 1: [], 2: [0, 2, 3], 3: [5]}
    student, teacher = random(4, 6, 9), torch.softmax(random(4, 6, 9, seed=1), -1)
    total = 0.0
    for view, places in masked.items():
        ce = [cross_entropy(teacher[view, n].tolist(), student[view, n].tolist(), 0.1) for n in places]
        total += sum(ce) / max(1, len(ce))
    index = torch.tensor([v * 6 + n for v, places in masked.items() for n in places] + [0, 0])
    weight = torch.tensor([1 / len(places) for places in masked.values() for _ in places] + [0.0, 0.0])
    got = patch_cross_entropy(student.flatten(0, 1)[index], teacher.flatten(0, 1)[index], weight, 0.1, 4)
    assert got.item() == pytest.approx(total / 4, rel=1e-5)


def test_losses_are_float32_under_half_precision_logits():
    student, teacher = (
        random(3, 2, 8).bfloat16(),
        teacher_probabilities(random(2, 2, 8).bfloat16(), torch.zeros(8), 0.1),
    )
    assert teacher.dtype == torch.float32 and cls_cross_entropy(student, teacher, 0.1).dtype == torch.float32


def test_cls_loss_does_not_depend_on_the_order_of_the_batch():
    student, teacher = random(4, 6, 5), torch.softmax(random(2, 6, 5, seed=1), -1)
    order = torch.randperm(6)
    a, b = cls_cross_entropy(student, teacher, 0.1), cls_cross_entropy(student[:, order], teacher[:, order], 0.1)
    torch.testing.assert_close(a, b)


def test_minimum_is_at_the_teacher():
    teacher = torch.softmax(random(2, 3, 6), -1)
    same = (teacher.flip(0)).log()  # each student view predicts the other view's teacher
    at = cls_cross_entropy(same, teacher, 1.0)
    entropy = -(teacher * teacher.log()).sum(-1).mean()
    torch.testing.assert_close(at, entropy)
    assert cls_cross_entropy(same + 0.1 * random(2, 3, 6, seed=9), teacher, 1.0) > at
