"""Every base method on ViT and ResNet: steps, gradients, calls, host reads, selected tokens, monitors."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from eqssl.models.monitors import prototype_monitors
from eqssl.registry import MODELS
from eqssl.utils.counters import HostReads, counted
from eqssl.utils.errors import UserError
from eqssl.utils.meta import to_meta, without_memory
from eqssl.utils.progress import Progress
from tests.helpers import BASES, PAIRS, base_config, batch, build_model, total_loss, trainer

pytestmark = pytest.mark.usefixtures('registered')
IDS = [f'{base}-{backbone}' for base, backbone in PAIRS]
VIEWS_PER_IMAGE = {'global': 2, 'local': 2}


def data(base, start=0, size=6):
    return batch(size, start, local=BASES[base][1])


@pytest.mark.parametrize(('base', 'backbone'), PAIRS, ids=IDS)
def test_two_steps_move_student_and_teacher(base, backbone):
    model = build_model(base_config(base, backbone))
    model.head.momentum = 0.5  # a step must show in the teacher's float32
    wrapper = trainer(model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    values = []
    for step in range(2):
        model.progress = Progress(step, 2, 1)
        wrapper.frozen = model.frozen_parameters()
        out = model.train_step(data(base, 6 * step), wrapper)
        model.after_step(wrapper.finite)
        values.append(out)
    assert all(torch.isfinite(v).all() for out in values for v in out.values())
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    weights = {k for k, p in model.named_parameters() if p.requires_grad and p.ndim > 1}
    assert weights <= moved
    if model.head.needs_teacher:
        assert {f'teacher.{k}' for k in weights if k.startswith('backbone')} <= moved
    else:
        assert model.teacher is None


@pytest.mark.parametrize(('base', 'backbone'), PAIRS, ids=IDS)
def test_every_trainable_parameter_has_a_gradient_and_nothing_else_has(base, backbone):
    model = build_model(base_config(base, backbone))
    total_loss(model, data(base))[0].backward()
    assert [k for k, p in model.named_parameters() if p.requires_grad != (p.grad is not None)] == []


@pytest.mark.parametrize(('base', 'backbone'), PAIRS, ids=IDS)
def test_a_whole_step_reads_nothing_back(base, backbone):
    model = build_model(base_config(base, backbone))
    wrapper, views = trainer(model), data(base)
    model.train_step(views, wrapper)
    model.after_step(wrapper.finite)
    with HostReads() as reads:
        model.train_step(views, wrapper)
        model.after_step(wrapper.finite)
    assert reads.reads == 0


@pytest.mark.parametrize(('base', 'backbone'), PAIRS, ids=IDS)
def test_backbone_calls_one_per_size_or_one_per_view_where_batch_norm_demands_it(base, backbone):
    model = build_model(base_config(base, backbone))
    groups = 2 if BASES[base][1] else 1
    apart = backbone == 'resnet' and model.head.separate_views
    with counted() as counts:
        total_loss(model, data(base))
    student, teacher = (2, 2) if apart else (groups, 1)
    assert counts['backbone_calls'] == student + (teacher if model.head.needs_teacher else 0)


@pytest.mark.parametrize(('base', 'backbone'), PAIRS, ids=IDS)
def test_projectors_see_selected_tokens_only(base, backbone):
    """Student: CLS of every crop (and masked patches); teacher: CLS of global crops (and masked patches)."""
    model = build_model(base_config(base, backbone))
    rows = {'student': 0, 'teacher': 0}

    def watch(projector, who):
        for module in projector.modules():
            if isinstance(module, torch.nn.Linear):  # the first layer of each MLP tells how many rows it was given
                module.register_forward_hook(lambda m, x, y: rows.__setitem__(who, rows[who] + x[0][..., 0].numel()))
                break

    parts = (
        model.head.projector.values()
        if isinstance(model.head.projector, torch.nn.ModuleDict)
        else [model.head.projector]
    )
    for part in parts:
        watch(part, 'student')
    if model.teacher is not None:
        copies = model.teacher.projector
        for part in copies.values() if isinstance(copies, torch.nn.ModuleDict) else [copies]:
            watch(part, 'teacher')
    views = data(base)
    total_loss(model, views)
    masked = len(views['mask_index']) if model.head.needs_masks else 0
    crops = 6 * (4 if BASES[base][1] else 2) * (4 if base == 'rotnet' else 1)
    assert rows['student'] == crops + masked
    assert rows['teacher'] == (12 + masked if model.teacher is not None else 0)


@pytest.mark.parametrize(('base', 'backbone'), PAIRS, ids=IDS)
def test_monitors_of_collapse_are_there_and_tell_a_collapsed_backbone(base, backbone):
    model = build_model(base_config(base, backbone))
    out = total_loss(model, data(base))[1]
    assert 'feature_std' in out and 'agreement' in out
    if hasattr(model.head, 'prototypes') or 'DINO' in type(model.head).__name__ or base == 'ibot':
        assert 'prototype_entropy' in out
    healthy = model.costly_monitors()['rankme']
    assert out['feature_std'] > 0.1 and healthy > 1.5
    collapsed = copy.deepcopy(model)
    forward = collapsed.backbone.forward_one

    def constant(*args):
        tokens = forward(*args)
        tokens.cls = 0 * tokens.cls + 1
        return tokens

    collapsed.backbone.forward_one = constant
    out = total_loss(collapsed, data(base))[1]
    assert out['feature_std'] < 1e-4 and collapsed.costly_monitors()['rankme'] < 1.1


@pytest.mark.parametrize(('base', 'backbone'), PAIRS, ids=IDS)
def test_builds_without_memory_and_in_channels_may_be_left_out_or_given(base, backbone):
    config = base_config(base, backbone)
    with without_memory():
        width = MODELS.build(copy.deepcopy(config)).backbone.embed_dims
    config['head']['in_channels'] = width
    assert build_model(config).head.in_channels == width


@pytest.mark.parametrize('base', BASES)
def test_any_base_carries_intermediate_reconstruction(base):
    """Weight 0 is the base method bit for bit; with it, the same number of backbone calls."""
    plain, config = base_config(base), base_config(base)
    config['neck'] = dict(type='eqssl.SplitNeck', in_channels=32, out_channels=36, equi_dims=16)
    config['auxiliary'] = dict(
        recon=dict(
            type='eqssl.IntermediateRecon', path=dict(type='eqssl.SE2'), weight=0.0,
            decoder=dict(type='eqssl.ReconDecoder', width=16, channels=(16, 8, 8)),
        )
    )  # fmt: skip
    a, b = (total_loss(build_model(c), data(base))[0] for c in (plain, config))
    assert torch.equal(a, b)
    config['auxiliary']['recon']['weight'] = 1.0
    model = build_model(config)
    with counted() as counts:
        loss, out = total_loss(model, data(base))
    loss.backward()
    assert out['loss_recon'] > 0
    assert counts['backbone_calls'] == (2 if BASES[base][1] else 1) + (1 if model.head.needs_teacher else 0)
    assert model.predict(torch.randn(2, 3, 16, 16))['equi'].shape == (2, 16, 16)


@pytest.mark.parametrize(('base', 'backbone'), PAIRS, ids=IDS)
def test_a_step_on_the_meta_device_reads_no_value(base, backbone):
    """Any read of a value (``item``, ``tolist``, ``cpu``, a boolean index) raises there."""
    with without_memory():
        model = MODELS.build(base_config(base, backbone))
    model.train()
    model.data_preprocessor._device = torch.device('meta')
    loss, _ = total_loss(model, to_meta(data(base)))
    loss.backward()
    model.after_step(torch.ones((), dtype=torch.bool, device='meta'))
    assert loss.device.type == 'meta'


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
@pytest.mark.parametrize(('base', 'backbone'), [p for p in PAIRS if p[1] == 'vit'], ids=[i for i in IDS if 'vit' in i])
def test_half_precision_changes_the_loss_by_rounding_only(base, backbone, precision):
    dtype = {'bf16': torch.bfloat16, 'fp16': torch.float16}[precision]
    losses = []
    for enabled in (False, True):
        model = build_model(base_config(base, backbone))
        views = model.data_preprocessor(data(base), True)['views']
        with torch.autocast('cpu', dtype=dtype, enabled=enabled):
            out = model.loss(views)
        losses.append(torch.stack([v for k, v in out.items() if 'loss' in k]).sum())
    assert losses[1].dtype == torch.float32 and torch.isfinite(losses[1])
    torch.testing.assert_close(losses[1], losses[0], rtol=0.05, atol=0.02)


def test_prototype_entropy_tells_one_prototype_for_all():
    spread_out, one = torch.eye(5).expand(2, 5, 5), torch.eye(5)[[2, 2, 2, 2, 2]].expand(2, 5, 5)
    healthy, collapsed = prototype_monitors(spread_out, spread_out), prototype_monitors(one, one)
    assert healthy['prototype_entropy'].item() == pytest.approx(math.log(5)) and healthy['agreement'] == 1
    assert collapsed['prototype_entropy'] < 1e-5 and healthy['teacher_entropy'] < 1e-5
    uniform = torch.full((2, 5, 5), 0.2)
    assert prototype_monitors(uniform, uniform)['teacher_entropy'].item() == pytest.approx(math.log(5))


def test_batch_norm_of_separate_views_sees_each_view_alone():
    """BYOL on a ResNet: running means after one step are those of two passes, not of one pass over both views."""
    model = build_model(base_config('byol', 'resnet'))
    fresh = copy.deepcopy(model.backbone)
    views = model.data_preprocessor(data('byol'), True)['views']
    model.loss(views)
    for part in views.crops['global'].split(6):
        fresh(part)
    torch.testing.assert_close(model.backbone.bn1.running_mean, fresh.bn1.running_mean)
    assert model.backbone.bn1.num_batches_tracked == 2
    joint = build_model(base_config('simclr', 'resnet'))
    joint.loss(views)
    assert joint.backbone.bn1.num_batches_tracked == 1


def test_teacher_batch_norms_use_the_batch_in_training_and_running_statistics_in_evaluation():
    model = build_model(base_config('byol', 'resnet'))
    norms = [m for m in model.teacher.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    others = [m for m in model.teacher.modules() if m not in norms]
    assert norms and all(m.training for m in norms) and not any(m.training for m in others)
    model.eval()
    assert not any(m.training for m in norms)


@pytest.mark.parametrize('base', ['byol', 'simclr', 'swav_queue', 'mocov3', 'dino'])
def test_a_non_finite_step_leaves_weights_statistics_queue_and_centers(base):
    model = build_model(base_config(base, 'resnet'))
    wrapper = trainer(model)
    model.train_step(data(base), wrapper)
    model.after_step(wrapper.finite)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    bad = data(base, 6)
    bad['photo']['global'][0, 0, 0] = float('nan')
    model.train_step(bad, wrapper)
    model.after_step(wrapper.finite)
    assert not wrapper.finite
    assert [k for k, v in model.state_dict().items() if not torch.equal(v, before[k])] == []


def test_mmpretrain_resnet_keeps_its_keys_and_takes_size_groups():
    from mmpretrain.models import ResNet_CIFAR

    model = build_model(base_config('simclr', 'resnet'))
    original = ResNet_CIFAR(depth=18, stem_channels=8, base_channels=8)
    assert list(model.backbone.state_dict()) == list(original.state_dict())
    original.load_state_dict(model.backbone.state_dict())
    original.eval()
    model.eval()
    images = torch.randn(2, 3, 32, 32)
    tokens = model(inputs=images)
    want = original(images)[-1]
    torch.testing.assert_close(tokens.cls, want.mean((2, 3)))
    torch.testing.assert_close(tokens.patch.transpose(1, 2).reshape(want.shape), want)


def test_a_backbone_that_ends_early_is_as_wide_as_its_last_map_and_one_without_a_map_is_refused():
    config = base_config('simclr')
    config['backbone'] = dict(type='mmpretrain.ResNet', depth=18, out_indices=(1,))
    assert torch.isfinite(total_loss(build_model(config), data('simclr'))[0])
    config['backbone'] = dict(type='mmpretrain.VisionTransformer', arch='deit-tiny', img_size=64)
    with pytest.raises(UserError, match='VisionTransformer returns no feature map'):
        build_model(config)


def test_other_convolutional_backbones_of_mmpretrain_work_too():
    config = base_config('simclr')
    config['backbone'] = dict(type='mmpretrain.MobileNetV2', widen_factor=0.25)
    model = build_model(config)
    assert torch.isfinite(total_loss(model, data('simclr'))[0]) and model.backbone.embed_dims == 1280
