"""Sinkhorn assignments: the textbook in float64, values by hand, equal shares, padding, the queue."""

from __future__ import annotations

import pytest
import torch

from eqssl.models.heads.queue import FeatureQueue
from eqssl.models.layers import commit_step
from eqssl.models.losses import sinkhorn


def textbook(logits, epsilon, iterations):
    """SwAV's algorithm 1 as published, on one machine, with all its constants."""
    q = torch.exp(logits.double() / epsilon).T
    prototypes, samples = q.shape
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(1, keepdim=True) / prototypes
        q = q / q.sum(0, keepdim=True) / samples
    return (q * samples).T


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('iterations', [1, 3, 10])
@pytest.mark.parametrize('shape', [(8, 5), (3, 20), (64, 64)])
def test_equals_the_textbook(iterations, shape):
    logits = torch.tanh(random(*shape))
    got = sinkhorn([logits], [0.05], iterations)[0]
    torch.testing.assert_close(got.double(), textbook(logits, 0.05, iterations), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(got.sum(1), torch.ones(shape[0]))


def test_by_hand():
    """exp(logits) = [[1, 3], [1, 1]]: columns to [[1/2, 3/4], [1/2, 1/4]], rows to [[2/5, 3/5], [2/3, 1/3]]."""
    got = sinkhorn([torch.tensor([[1.0, 3.0], [1.0, 1.0]]).log()], [1.0], 1)[0]
    torch.testing.assert_close(got, torch.tensor([[0.4, 0.6], [2 / 3, 1 / 3]]))


def test_many_iterations_give_every_prototype_the_same_share():
    got = sinkhorn([random(12, 4)], [0.5], 50)[0]
    torch.testing.assert_close(got.sum(0), torch.full((4,), 3.0), rtol=1e-4, atol=1e-4)


def test_groups_are_independent_and_padding_counts_nothing():
    one, two = random(6, 5), random(9, 3, seed=1)
    together = sinkhorn([one, two], [0.1, 0.2])
    torch.testing.assert_close(together[0], sinkhorn([one], [0.1])[0])
    torch.testing.assert_close(together[1], sinkhorn([two], [0.2])[0])
    padded, weight = torch.cat([one, random(4, 5, seed=9)]), torch.tensor([1.0] * 6 + [0.0] * 4)
    torch.testing.assert_close(sinkhorn([padded], [0.1], weights=[weight])[0][:6], together[0])


def test_a_constant_and_the_order_of_samples_change_nothing():
    logits, order = random(7, 5), torch.randperm(7)
    plan = sinkhorn([logits], [0.1])[0]
    torch.testing.assert_close(sinkhorn([logits + 40], [0.1])[0], plan, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(sinkhorn([logits[order]], [0.1])[0], plan[order])


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_assignments_and_centers_are_the_same_bits_under_autocast(dtype):
    from eqssl.models.heads.center import Center

    logits, weight = random(30, 16), torch.ones(30)
    with torch.autocast('cpu', dtype=dtype):
        inside = sinkhorn([logits], [0.04], weights=[weight])[0]
        center = Center(16)
        center.add(logits, weight)
    assert torch.equal(inside, sinkhorn([logits], [0.04], weights=[weight])[0]) and inside.isfinite().all()
    torch.testing.assert_close(center.pending[:-1], logits.sum(0), rtol=1e-5, atol=1e-5)


def test_extreme_logits_stay_finite():
    assert sinkhorn([1000 * random(6, 4)], [0.05])[0].isfinite().all()


def test_queue_is_first_in_first_out_used_when_full_and_still_under_skipped_steps():
    queue = FeatureQueue(4, 1, 1)

    def add(*values, finite=True):
        queue.push(torch.tensor(values).reshape(1, -1, 1))
        commit_step(queue, None if finite is None else torch.tensor(finite))

    add(1.0, 2.0)
    assert queue.own_part()[1].tolist() == [0, 0, 0, 0], 'half full: not used'
    add(9.0, 9.0, finite=False)
    add(3.0, 4.0, finite=None)
    rows, weight = queue.own_part()
    assert rows.flatten().tolist() == [3, 4, 1, 2] and weight.tolist() == [1, 1, 1, 1]
    queue.push(torch.tensor([[[5.0]]]))
    assert queue.rows.flatten().tolist() == [3, 4, 1, 2], 'waits for the end of the step'
    queue.push(torch.tensor([[[6.0]]]))
    commit_step(queue, None)
    assert queue.rows.flatten().tolist() == [5, 6, 3, 4]
