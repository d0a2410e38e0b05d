"""LARS and the parameter groups of the base methods."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqssl.engine import LARS, CosineSchedule, OptimWrapper, OptimWrapperConstructor
from eqssl.utils.counters import HostReads
from eqssl.utils.errors import UserError
from tests.helpers import base_config, batch, build_model

pytestmark = pytest.mark.usefixtures('registered')


def reference(weights, grads, steps, lr, momentum, decay, eta):
    """One parameter, step by step, in float64 scalars and norms."""
    w, velocity = weights.double().clone(), torch.zeros_like(weights).double()
    for grad in grads[:steps]:
        g = grad.double() + decay * w
        if w.norm() > 0 and g.norm() > 0:
            g = g * eta * w.norm() / g.norm()
        velocity = momentum * velocity + g
        w = w - lr * velocity
    return w


@pytest.mark.parametrize('found', [None, 0.0])
def test_steps_equal_the_formula(found):
    torch.manual_seed(0)
    params = [nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.zeros(5))]
    grads = [[torch.randn_like(p) for _ in range(3)] for p in params]
    start = [p.detach().clone() for p in params]
    optimizer = LARS(params, lr=0.5, momentum=0.9, weight_decay=0.1, eta=0.02)
    for step in range(3):
        for p, g in zip(params, grads, strict=True):
            p.grad = g[step].clone()
        optimizer.found_inf = None if found is None else torch.tensor(found)
        optimizer.step()
    for p, w, g in zip(params, start, grads, strict=True):
        torch.testing.assert_close(p.double(), reference(w, g, 3, 0.5, 0.9, 0.1, 0.02), rtol=1e-4, atol=1e-6)


def test_by_hand():
    """w = (3, 4), g = (0, 10), no decay, eta = 0.1: ratio 0.1 * 5 / 10 = 0.05, first step lr * (0, 0.5)."""
    p = nn.Parameter(torch.tensor([3.0, 4.0]))
    p.grad = torch.tensor([0.0, 10.0])
    LARS([p], lr=2.0, eta=0.1).step()
    assert p.tolist() == pytest.approx([3.0, 3.0])


def test_groups_without_adaptation_take_sgd_steps():
    a, b = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = LARS([{'params': [a], 'adapt': False}], lr=0.1)
    sgd = torch.optim.SGD([b], lr=0.1, momentum=0.9)
    for step in range(3):
        for p, o in ((a, optimizer), (b, sgd)):
            p.grad = torch.full((3,), 1.0 + step)
            o.step()
    torch.testing.assert_close(a, b)


def test_a_non_finite_step_changes_nothing_and_nothing_is_read_back():
    model = build_model(base_config('barlowtwins', 'resnet'))
    wrapper = OptimWrapper(LARS([p for p in model.parameters() if p.requires_grad], lr=0.1))
    model.train_step(batch(6, local=False), wrapper)
    model.after_step(wrapper.finite)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    velocity = [s['momentum_buffer'].clone() for s in wrapper.optimizer.state.values()]
    bad = batch(6, 6, local=False)
    bad['photo']['global'][0, 0, 0] = float('nan')
    with HostReads() as reads:
        model.train_step(bad, wrapper)
        model.after_step(wrapper.finite)
    assert reads.reads == 0 and not wrapper.finite
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(
        torch.equal(s['momentum_buffer'], v) for s, v in zip(wrapper.optimizer.state.values(), velocity, strict=True)
    )


def build(model, optimizer, **paramwise):
    return OptimWrapperConstructor(dict(type='eqssl.OptimWrapper', optimizer=optimizer), paramwise)(model)


def test_biases_and_norms_are_neither_decayed_nor_adapted():
    wrapper = build(build_model(base_config('byol', 'resnet')), dict(type='eqssl.LARS', lr=0.1, weight_decay=1e-6))
    weights, plain = wrapper.optimizer.param_groups
    assert weights['adapt'] and not plain['adapt'] and plain['weight_decay'] == 0
    assert all(p.ndim == 1 for p in plain['params']) and all(p.ndim > 1 for p in weights['params'])


def test_layer_decay_and_patch_embed_factor_follow_dinov2():
    """Two blocks: the stem lies 3 layers below the heads, block i 2 - i below; the patch embedding has 0.2 on top."""
    model = build_model(base_config('dinov2'))
    wrapper = build(model, dict(type='AdamW', lr=1.0), layer_decay=0.5, patch_embed_lr=0.2)
    lr = {id(p): g['lr'] for g in wrapper.optimizer.param_groups for p in g['params']}
    names = dict(model.named_parameters())
    want = {
        'backbone.patch_embed.projection.weight': 0.5**3 * 0.2, 'backbone.cls_token': 0.5**3,
        'backbone.pos_embed': 0.5**3, 'backbone.mask_token': 0.5**3, 'backbone.layers.0.attn.qkv.weight': 0.5**2,
        'backbone.layers.1.attn.qkv.bias': 0.5, 'backbone.ln1.weight': 1.0, 'head.projector.cls.mlp.0.weight': 1.0,
    }  # fmt: skip
    for name, value in want.items():
        assert lr[id(names[name])] == pytest.approx(value), name
    schedule = CosineSchedule(wrapper, 'lr', final=0.1, by_epoch=False, end=10)
    for _ in range(10):
        wrapper.optimizer._global_step = 0
        schedule.step()
    stem = next(g for g in wrapper.optimizer.param_groups if any(p is names['backbone.cls_token'] for p in g['params']))
    assert stem['lr'] == pytest.approx(0.1 * 0.5**3)


def test_predictor_keeps_its_learning_rate():
    model = build_model(base_config('simsiam', 'resnet'))
    options = dict(constant_lr=['head.predictor'], decay_norm_bias=True)
    wrapper = build(model, dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4), **options)
    schedule = CosineSchedule(wrapper, 'lr', by_epoch=False, end=10)
    for _ in range(10):
        wrapper.optimizer._global_step = 0
        schedule.step()
    inside = {id(p) for p in model.head.predictor.parameters()}
    for group in wrapper.optimizer.param_groups:
        assert group['weight_decay'] == 1e-4
        wanted = 0.05 if id(group['params'][0]) in inside else 0.0
        assert group['lr'] == pytest.approx(wanted, abs=1e-9)
        assert all((id(p) in inside) == (wanted > 0) for p in group['params'])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(layer_decay=1.5), 'layer_decay=1.5'),
        (dict(layer_decay=0.9), 'ResNet_CIFAR knows no layer depths'),
        (dict(constant_lr=['head.predicter']), "no parameter starts with 'head.predicter'"),
        (dict(patch_lr=0.2), 'paramwise_cfg.patch_lr is unknown'),
    ],
)
def test_wrong_options_name_the_key(options, message):
    with pytest.raises(UserError, match=message):
        build(build_model(base_config('simsiam', 'resnet')), dict(type='SGD', lr=0.1), **options)


def test_frozen_prototypes_may_start_later_with_fused_sgd():
    model = build_model(base_config('swav'))
    wrapper = build(model, dict(type='SGD', lr=0.1, momentum=0.9))
    weight = model.head.prototypes.weight
    for step in range(2):
        wrapper.frozen = [weight] if step == 0 else []
        before = weight.detach().clone()
        model.train_step(batch(6, 6 * step), wrapper)
        assert torch.equal(before, weight) == (step == 0)


def test_barlow_twins_gives_biases_and_norms_their_own_rate():
    wrapper = build(
        build_model(base_config('barlowtwins', 'resnet')), dict(type='eqssl.LARS', lr=1.6), norm_bias_lr=0.024
    )
    assert [g['lr'] for g in wrapper.optimizer.param_groups] == pytest.approx([1.6, 1.6 * 0.024])
    assert all(p.ndim == 1 for p in wrapper.optimizer.param_groups[1]['params'])
