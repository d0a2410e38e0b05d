"""The algorithm class: invariant 1, teacher, calls, modes, split variants."""

from __future__ import annotations

import pytest
import torch

from eqssl.models.teacher import EMATeacher
from eqssl.utils.counters import counted
from eqssl.utils.errors import UserError
from tests.helpers import batch, build_model, model_config, total_loss

pytestmark = pytest.mark.usefixtures('registered')


def gradients(model):
    return {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize('keep_neck', [True, False])
def test_weight_zero_is_the_base_method_bit_for_bit(keep_neck):
    base, config = build_model(model_config(recon=False)), model_config()
    config['auxiliary']['recon']['weight'] = 0
    if not keep_neck:
        del config['neck']
    off = build_model(config)
    values = []
    for model in (base, off):
        loss, out = total_loss(model, batch())
        loss.backward()
        values.append((loss, out, gradients(model)))
    assert torch.equal(values[0][0], values[1][0])
    assert values[0][1].keys() == values[1][1].keys() and values[0][2].keys() == values[1][2].keys()
    assert all(torch.equal(values[0][2][k], values[1][2][k]) for k in values[0][2])


def test_identity_path_leaves_views_and_base_loss_and_makes_every_target_u():
    config = model_config()
    model, base = build_model(config), build_model(model_config(recon=False))
    path = model.auxiliary['recon'].path
    path.from_uniform = lambda u: torch.zeros(len(u), path.size)
    data = batch()
    views = model.data_preprocessor(data, True)['views']
    plain = base.data_preprocessor(data, True)['views']
    assert torch.equal(views.crops['global'], plain.crops['global'])
    for target in views.targets['recon']:
        assert torch.equal(target, plain.view('global', 1))
    a, b = model.loss(views), base.loss(plain)
    assert torch.equal(a['loss_cls'], b['loss_cls']) and torch.equal(a['loss_patch'], b['loss_patch'])


def test_one_backbone_call_per_crop_size_per_network_with_and_without_recon():
    for recon in (True, False):
        model, data = build_model(model_config(recon)), batch()
        with counted() as counts:
            total_loss(model, data)
        assert counts['backbone_calls'] == 2 + 1  # student: 16 px, 8 px; teacher: 16 px


def test_every_trainable_parameter_gets_a_gradient_at_every_step():
    model = build_model()
    total_loss(model, batch())[0].backward()
    assert [k for k, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize('momentum', [0.9, 1.0])
@pytest.mark.parametrize('finite', [None, True, False])
def test_teacher_follows_by_the_ema_formula_and_not_after_a_skipped_step(momentum, finite):
    model = build_model()
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p))
    before = {k: v.clone() for k, v in model.teacher.state_dict().items()}
    flag = None if finite is None else torch.tensor(finite)
    model.teacher.update(model, momentum, flag)
    for key, value in model.teacher.state_dict().items():
        student = model.state_dict()[key if key.startswith('backbone') else f'head.{key}']
        want = before[key] if finite is False else momentum * before[key] + (1 - momentum) * student
        torch.testing.assert_close(value, want, rtol=1e-5, atol=1e-6)


def test_teacher_starts_equal_stays_in_eval_mode_and_has_no_gradient():
    config = model_config()
    config['backbone']['drop_path_rate'] = 0.5
    model = build_model(config)
    for key, value in model.teacher.backbone.state_dict().items():
        assert torch.equal(value, model.backbone.state_dict()[key])
    assert not any(m.training for m in model.teacher.modules()) and model.backbone.training
    assert not any(p.requires_grad for p in model.teacher.parameters())


@pytest.mark.parametrize(
    'neck',
    [
        dict(split_at='linear', invariant='head', out_channels=40, equi_dims=16),
        dict(split_at='linear', invariant='linear', out_channels=40, equi_dims=16),
        dict(split_at='head_logits', out_channels=24, equi_dims=8),
        dict(split_at='backbone', out_channels=32, equi_dims=12),
        dict(split_at='block:0', out_channels=40, equi_dims=16),
    ],
    ids=lambda n: n['split_at'] + n.get('invariant', ''),
)
def test_every_split_trains_and_predicts(neck):
    config = model_config()
    config['neck'] = dict(type='eqssl.SplitNeck', in_channels=32, **neck)
    if neck.get('invariant') == 'linear' or neck['split_at'] == 'backbone':
        config['head']['in_channels'] = neck['out_channels'] - neck['equi_dims']
    model = build_model(config)
    loss, _ = total_loss(model, batch())
    loss.backward()
    assert torch.isfinite(loss)
    assert [k for k, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    out = model.predict(torch.randn(2, 3, 16, 16))
    assert out['equi'].shape == (2, 16, neck['equi_dims'])
    model.after_step(torch.tensor(True))


def test_backbone_split_is_the_feature_split_itself():
    config = model_config()
    config['neck'] = dict(type='eqssl.SplitNeck', in_channels=32, out_channels=32, equi_dims=12, split_at='backbone')
    config['head']['in_channels'] = 20
    out = build_model(config).eval().predict(torch.randn(2, 3, 16, 16))
    assert torch.equal(out['inv'], out['cls'][:, :20]) and torch.equal(out['equi'], out['patch'][..., 20:])


def test_head_logits_split_is_the_last_columns_of_the_full_head():
    config = model_config()
    config['neck'] = dict(type='eqssl.SplitNeck', in_channels=32, out_channels=24, equi_dims=8, split_at='head_logits')
    model = build_model(config).eval()
    out = model.predict(torch.randn(2, 3, 16, 16))
    full = model.head.projector['cls'](out['patch'])
    torch.testing.assert_close(out['equi'], full[..., 16:])
    assert model.head.cls_center.center.shape == (16,)


def test_modes():
    model = build_model().eval()
    x = torch.randn(2, 3, 16, 16)
    tokens = model(inputs=x)
    assert tokens.cls.shape == (2, 32) and tokens.patch.shape == (2, 16, 32)
    assert set(model(inputs=x, mode='predict')) == {'cls', 'patch', 'equi', 'inv'}
    with pytest.raises(ValueError, match='mode'):
        model(inputs=x, mode='train')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c['neck'].update(equi_dims=40), 'model.neck.equi_dims=40 .* out_channels=40'),
        (lambda c: c['neck'].update(in_channels=31), 'model.neck.in_channels=31'),
        (lambda c: c['neck'].update(split_at='middle'), 'model.neck.split_at'),
        (lambda c: c['head'].update(in_channels=31), 'model.head.in_channels=31'),
        (lambda c: c['head'].update(out_dim=25), 'model.head.out_dim=25'),
        (lambda c: c.pop('neck'), 'model.auxiliary.recon reads equivariant features'),
        (lambda c: c['auxiliary']['recon'].update(weight=-1), 'model.auxiliary.recon.weight'),
        (lambda c: c['backbone'].update(img_size=17), 'model.backbone'),
    ],
)
def test_configs_that_do_not_fit_name_the_key(change, message):
    config = model_config()
    change(config)
    with pytest.raises(UserError, match=message):
        build_model(config)


def test_teacher_is_a_copy_not_a_view():
    model = build_model(model_config(recon=False))
    teacher = EMATeacher(model.backbone, model.head.projector)
    with torch.no_grad():
        model.backbone.pos_embed.add_(1)
    assert not torch.equal(teacher.backbone.pos_embed, model.backbone.pos_embed)
