"""Invariant 4: every draw is a function of (seed, position) alone."""

from __future__ import annotations

import torch

from eqssl.utils.randomness import sample_key, sample_rng, uniforms


def test_keys_differ_between_seeds_and_positions():
    keys = {sample_key(seed, position) for seed in range(20) for position in range(500)}
    assert len(keys) == 20 * 500
    assert all(-(2**63) <= key < 2**63 for key in keys)


def test_generators_repeat_and_streams_differ():
    a, b = sample_rng(0, 5, 'views').random(4), sample_rng(0, 5, 'views').random(4)
    assert (a == b).all()
    assert (a != sample_rng(0, 5, 'mask').random(4)).all() and (a != sample_rng(1, 5, 'views').random(4)).all()


def test_device_draws_are_uniform_independent_and_pinned():
    key = torch.tensor([sample_key(0, p) for p in range(20000)])
    u = uniforms(key, 'recon', 3)
    assert u.dtype == torch.float32 and u.min() >= 0 and u.max() < 1
    assert (u.mean(0) - 0.5).abs().max() < 0.01 and (u.std(0) - 12**-0.5).abs().max() < 0.01
    correlation = torch.corrcoef(torch.cat([u, uniforms(key, 'other', 3)], 1).T) - torch.eye(6)
    assert correlation.abs().max() < 0.03
    lag = torch.corrcoef(torch.stack([u[1:, 0], u[:-1, 0]]))[0, 1]
    assert abs(lag) < 0.03


def test_a_draw_does_not_depend_on_the_batch_around_it():
    key = torch.tensor([sample_key(3, p) for p in range(8)])
    assert torch.equal(uniforms(key, 's', 5)[3:4], uniforms(key[3:4], 's', 5))
    assert torch.equal(uniforms(key, 's', 5)[:, :2], uniforms(key, 's', 2))
