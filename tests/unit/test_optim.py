"""Optimizer wrapper: clipping, non-finite steps, precision, groups; schedules in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from eqssl.engine import CosineSchedule, OptimWrapper, OptimWrapperConstructor
from eqssl.utils.errors import UserError
from tests.helpers import batch, build_model

pytestmark = pytest.mark.usefixtures('registered')


def setup(precision='fp32', clip=None, accumulate=1, optimizer=torch.optim.AdamW):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))
    wrapper = OptimWrapper(optimizer(model.parameters(), lr=0.1, fused=True), accumulate, clip, precision)
    return model, wrapper


def step(model, wrapper, scale=1.0):
    with wrapper.optim_context(model):
        loss = model(torch.ones(3, 4)).square().mean() * scale
    wrapper.update_params(loss)


@pytest.mark.parametrize('optimizer', [torch.optim.AdamW, torch.optim.SGD])
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_non_finite_step_changes_neither_weights_nor_optimizer(optimizer, bad):
    model, wrapper = setup(optimizer=optimizer)
    step(model, wrapper)
    before = [p.clone() for p in model.parameters()]
    moments = [v.clone() for s in wrapper.optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
    step(model, wrapper, bad)
    assert not wrapper.finite and wrapper.nonfinite_steps == 1 and wrapper.nonfinite_run == 1
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    after = [v for s in wrapper.optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
    assert all(torch.equal(a, b) for a, b in zip(moments, after, strict=True))
    step(model, wrapper)
    assert wrapper.finite and wrapper.nonfinite_run == 0 and wrapper.nonfinite_steps == 1
    assert not torch.equal(before[0], next(model.parameters()))


def test_an_infinite_loss_with_finite_gradient_is_caught_too():
    model, wrapper = setup()
    loss = model(torch.ones(1, 4)).sum() + torch.tensor(float('inf'))
    wrapper.update_params(loss)
    assert not wrapper.finite


def test_nothing_of_the_model_moves_after_a_non_finite_loss():
    model = build_model()
    wrapper = OptimWrapper(torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    data = batch()
    data['photo']['global'][0, 0, 0] = float('nan')  # one bad image
    model.train_step(data, wrapper)
    model.after_step(wrapper.finite)
    assert not wrapper.finite
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize('per_parameter', [True, False])
def test_clipping_by_parameter_or_by_whole_norm(per_parameter):
    model, wrapper = setup(clip=dict(max_norm=0.01, per_parameter=per_parameter))
    (model(torch.ones(3, 4)) * 50).square().mean().backward()
    raw = [p.grad.clone() for p in model.parameters()]
    grads = wrapper._gradients()
    wrapper._clip(grads, wrapper._check(grads))
    total = math.sqrt(sum(float(g.norm()) ** 2 for g in raw))
    assert wrapper.grad_norm.item() == pytest.approx(total, rel=1e-5)
    for p, g in zip(model.parameters(), raw, strict=True):
        norm = float(g.norm()) if per_parameter else total
        torch.testing.assert_close(p.grad, g * min(1.0, 0.01 / (norm + 1e-6)), rtol=1e-5, atol=1e-8)


def test_accumulated_micro_batches_equal_the_whole_batch():
    x = torch.randn(8, 4)
    results = []
    for parts in (1, 4):
        model, wrapper = setup(accumulate=parts, optimizer=torch.optim.SGD)
        for part in x.chunk(parts):
            wrapper.update_params(model(part).square().mean())
        results.append([p.clone() for p in model.parameters()])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_low_precision_trains_on_the_cpu_with_a_scaler_for_fp16_only(precision):
    model, wrapper = setup(precision)
    losses = []
    for _ in range(30):
        with wrapper.optim_context(model):
            out = model(torch.ones(3, 4))
            loss = (out.float() - 2).square().mean()
        wrapper.update_params(loss)
        losses.append(loss.item())
    assert out.dtype == {'bf16': torch.bfloat16, 'fp16': torch.float16}[precision]
    assert (wrapper.scaler is None) == (precision == 'bf16') and losses[-1] < 0.1 * losses[0]
    fresh = setup(precision)[1]
    fresh.load_state_dict(wrapper.state_dict())
    assert (fresh.scaler is None) or fresh.scaler.get_scale() == wrapper.scaler.get_scale()


def test_frozen_parameters_stay():
    model, wrapper = setup()
    wrapper.frozen = [model[2].weight]
    before = model[2].weight.clone(), model[0].weight.clone()
    step(model, wrapper)
    assert torch.equal(before[0], model[2].weight) and not torch.equal(before[1], model[0].weight)


def test_groups_without_weight_decay_on_bias_and_norm():
    model = build_model()
    config = dict(type='eqssl.OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05))
    wrapper = OptimWrapperConstructor(config)(model)
    decay, plain = wrapper.optimizer.param_groups
    assert decay['weight_decay'] == 0.05 and plain['weight_decay'] == 0 and wrapper.optimizer.defaults['fused']
    assert all(p.ndim > 1 for p in decay['params']) and all(p.ndim == 1 for p in plain['params'])
    trainable = sum(p.requires_grad for p in model.parameters())
    assert len(decay['params']) + len(plain['params']) == trainable
    with pytest.raises(UserError, match='paramwise_cfg.decay_norm_bia '):
        OptimWrapperConstructor(config, dict(decay_norm_bia=True))


def test_schedule_is_warmup_then_cosine_and_a_function_of_the_iteration():
    _model, wrapper = setup()
    schedule = CosineSchedule(wrapper, 'lr', final=0.01, warmup=10, by_epoch=False, end=110)
    values = []
    for _ in range(110):
        values.append(wrapper.param_groups[0]['lr'])
        wrapper.optimizer._global_step = 0
        schedule.step()
    assert values[0] == 0 and values[5] == pytest.approx(0.05) and values[10] == pytest.approx(0.1)
    assert values[60] == pytest.approx((0.1 + 0.01) / 2) and values[-1] == pytest.approx(0.01, rel=0.05)
    assert [schedule.value(0.1, i) for i in range(110)] == pytest.approx(values)


def test_schedule_in_epochs_and_zero_groups_stay_zero():
    model = nn.Linear(2, 2)
    groups = [{'params': [model.weight]}, {'params': [model.bias], 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.04, fused=True)
    schedule = CosineSchedule(optimizer, 'weight_decay', final=0.4, end=5, epoch_length=10)
    for _ in range(49):
        schedule.step()
    assert optimizer.param_groups[0]['weight_decay'] == pytest.approx(0.4, rel=0.01)
    assert optimizer.param_groups[1]['weight_decay'] == 0
    with pytest.raises(UserError, match='warmup'):
        CosineSchedule(optimizer, 'lr', warmup=9, end=5, epoch_length=10)


def test_teacher_moves_once_per_optimizer_step_under_accumulation():
    from types import SimpleNamespace

    from eqssl.engine import TeacherEMAHook

    model = build_model()
    calls = []
    model.after_step = lambda finite: calls.append(finite)
    parameters = [p for p in model.parameters() if p.requires_grad]
    wrapper = OptimWrapper(torch.optim.AdamW(parameters, fused=True), accumulative_counts=4)
    runner = SimpleNamespace(optim_wrapper=wrapper, bare_model=model)
    for i in range(8):
        model.train_step(batch(), wrapper)
        TeacherEMAHook().after_train_iter(runner, i)
    assert len(calls) == 2
