"""Whole heads against independent float64 computations: which view meets which, weights, constants, stop-gradients."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from eqssl.augment.rotations import rotate90
from eqssl.models import heads
from eqssl.models.layers import commit_step
from eqssl.models.layers.mlp import mlp
from eqssl.models.step import Selected, Step
from eqssl.structures import Views
from eqssl.utils.errors import UserError, at_key
from eqssl.utils.progress import Progress

B, D = 6, 5
MLP = dict(in_channels=D, hidden=8, out_dim=4)


def inputs(local=0):
    generator = torch.Generator().manual_seed(3)
    cls = {'global': torch.randn(2 * B, D, generator=generator, dtype=torch.float64)}
    if local:
        cls['local'] = torch.randn(local * B, D, generator=generator, dtype=torch.float64)
    label = torch.tensor([0, 1, 2, 0, 1, 0])
    count = {'global': 2, 'local': local} if local else {'global': 2}
    views = Views({}, count, B, torch.arange(B), torch.arange(B), label)
    return cls, views


def run(head, cls, views, progress=None, teacher=None):
    taught = None if teacher is None else Selected({'global': cls['global'] + 0.1})
    return head.loss(Step(views, Selected(cls), taught, teacher, progress or Progress()))


def layers(module, x):
    """Linear, batch norm with batch statistics and ReLU by their definitions."""
    for layer in module:
        if isinstance(layer, torch.nn.Linear):
            x = x @ layer.weight.T + (0 if layer.bias is None else layer.bias)
        elif isinstance(layer, torch.nn.ReLU):
            x = x * (x > 0)
        else:
            x = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
            x = x if layer.weight is None else x * layer.weight + layer.bias
    return x


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_byol_sums_both_directions_and_normalizes_each_view_alone():
    head = heads.BYOLHead(**MLP).double()
    teacher = copy.deepcopy(head.projector)
    cls, views = inputs()
    got = run(head, cls, views, teacher=teacher)[0]['loss_byol']
    p = [layers(head.predictor, layers(head.projector, x)) for x in cls['global'].chunk(2)]
    z = [layers(teacher, x + 0.1) for x in cls['global'].chunk(2)]
    want = sum((unit(p[i]) - unit(z[1 - i])).square().sum(1).mean() for i in range(2))
    assert got.item() == pytest.approx(want.item(), rel=1e-9)
    got.backward()
    assert all(q.grad is None for q in teacher.parameters())


def test_simsiam_is_half_the_sum_and_stops_the_gradient():
    head = heads.SimSiamHead(D, hidden=8, out_dim=4, predictor_hidden=3).double()
    cls, views = inputs()
    got = run(head, cls, views)[0]['loss_simsiam']
    z = [layers(head.projector, x) for x in cls['global'].chunk(2)]
    p = [layers(head.predictor, x) for x in z]
    want = -sum((unit(p[i]) * unit(z[1 - i]).detach()).sum(1).mean() for i in range(2)) / 2
    assert got.item() == pytest.approx(want.item(), rel=1e-9)
    first = torch.autograd.grad(want, head.projector[0].weight)[0]
    torch.testing.assert_close(torch.autograd.grad(got, head.projector[0].weight)[0], first)
    assert not any(m.affine for m in head.projector[-1:]), 'the output batch norm has no affine part'


def test_simclr_both_views_through_one_batch_norm():
    head = heads.SimCLRHead(D, 8, 4, temperature=0.3).double()
    cls, views = inputs()
    z = unit(layers(head.projector, cls['global']))
    scores = (z @ z.T / 0.3).fill_diagonal_(-math.inf)
    want = F.cross_entropy(scores, torch.arange(2 * B).roll(B))
    assert run(head, cls, views)[0]['loss_simclr'].item() == pytest.approx(want.item(), rel=1e-9)


@pytest.mark.parametrize('norm', [True, False])
def test_mocov3_is_scaled_by_twice_the_temperature(norm):
    head = heads.MoCoV3Head(**MLP, temperature=0.2, predictor_norm=norm).double()
    teacher = copy.deepcopy(head.projector)
    cls, views = inputs()
    q = [unit(layers(head.predictor, layers(head.projector, x))) for x in cls['global'].chunk(2)]
    k = [unit(layers(teacher, x + 0.1)) for x in cls['global'].chunk(2)]
    want = sum(F.cross_entropy(q[i] @ k[1 - i].T / 0.2, torch.arange(B)) for i in range(2)) * 2 * 0.2
    assert run(head, cls, views, teacher=teacher)[0]['loss_mocov3'].item() == pytest.approx(want.item(), rel=1e-9)


def test_supcon_has_the_official_factor_only_on_request_and_takes_noise():
    cls, views = inputs()
    plain = heads.SupConHead(D, 8, 4, temperature=0.14).double()
    scaled = heads.SupConHead(D, 8, 4, temperature=0.14, base_temperature=0.07).double()
    noisy = heads.SupConHead(D, 8, 4, temperature=0.14, label_noise=1.0, num_classes=3).double()
    scaled.load_state_dict(plain.state_dict())
    noisy.load_state_dict(plain.state_dict())
    a, b, c = (run(h, cls, views)[0]['loss_supcon'].item() for h in (plain, scaled, noisy))
    assert b == pytest.approx(2 * a, rel=1e-9) and c != pytest.approx(a, rel=1e-3)
    z = unit(layers(plain.projector, cls['global']))
    log_p = torch.log_softmax((z @ z.T / 0.14).fill_diagonal_(-math.inf), 1)
    labels = views.label.repeat(2)
    positive = (labels[:, None] == labels[None]) & ~torch.eye(2 * B, dtype=torch.bool)
    want = -sum(log_p[i][positive[i]].mean() for i in range(2 * B)) / (2 * B)
    assert a == pytest.approx(want.item(), rel=1e-9)


def test_vicreg_weights_its_terms():
    head = heads.VICRegHead(**MLP, sim_weight=2.0, std_weight=3.0, cov_weight=5.0).double()
    cls, views = inputs()
    losses = run(head, cls, views)[0]
    z = [layers(head.projector, x) for x in cls['global'].chunk(2)]
    assert losses['loss_invariance'].item() == pytest.approx(2 * (z[0] - z[1]).square().mean().item(), rel=1e-9)
    variance = sum(F.relu(1 - (x.var(0) + 1e-4).sqrt()).mean() / 2 for x in z)
    assert losses['loss_variance'].item() == pytest.approx(3 * variance.item(), rel=1e-9)
    off = sum((torch.cov(x.T) * (1 - torch.eye(4))).square().sum() / 4 for x in z)
    assert losses['loss_covariance'].item() == pytest.approx(5 * off.item(), rel=1e-9)


def test_barlow_twins_scale():
    head = heads.BarlowTwinsHead(**MLP, redundancy_weight=0.1, scale=0.5).double()
    cls, views = inputs()
    z = [layers(head.projector, x) for x in cls['global'].chunk(2)]
    z = [(x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() for x in z]
    c = z[0].T @ z[1] / B
    eye = torch.eye(4)
    want = 0.5 * ((1 - c).square() * eye + 0.1 * c.square() * (1 - eye)).sum()
    assert run(head, cls, views)[0]['loss_barlow'].item() == pytest.approx(want.item(), rel=1e-9)


def sinkhorn(scores, epsilon):
    q = torch.exp(scores / epsilon).T
    for _ in range(3):
        q = q / q.sum(1, keepdim=True) / q.shape[0]
        q = q / q.sum(0, keepdim=True) / q.shape[1]
    return (q * q.shape[1]).T


def test_swav_swaps_predictions_over_all_crops_each_global_crop_assigned_for_itself():
    head = heads.SwAVHead(**MLP, prototypes=3, temperature=0.2, epsilon=0.5).double()
    cls, views = inputs(local=3)
    together = torch.cat([cls['global'], cls['local']])  # one batch norm over all crops in the projector
    crops = (unit(layers(head.projector, together)) @ head.prototypes.weight.T).chunk(5)
    total = 0.0
    for g in range(2):
        q = sinkhorn(crops[g].detach(), 0.5)
        others = [v for v in range(5) if v != g]
        total += sum(-(q * torch.log_softmax(crops[v] / 0.2, 1)).sum(1).mean() for v in others) / len(others)
    assert run(head, cls, views)[0]['loss_swav'].item() == pytest.approx((total / 2).item(), rel=1e-6)


def test_swav_prototypes_have_unit_length_and_are_frozen_at_first():
    head = heads.SwAVHead(**MLP, prototypes=3, freeze_prototypes_iters=2)
    with torch.no_grad():
        head.prototypes.weight.mul_(3)
    commit_step(head, torch.tensor(False))
    assert head.prototypes.weight.norm(dim=1)[0] > 2.9, 'a skipped step changes nothing'
    commit_step(head, torch.tensor(True))
    torch.testing.assert_close(head.prototypes.weight.norm(dim=1), torch.ones(3))
    frozen = [len(head.frozen_parameters(Progress(i, 10, 1))) for i in range(4)]
    assert frozen == [1, 1, 0, 0]


def test_swav_queue_joins_the_assignment_when_full():
    head = heads.SwAVHead(**MLP, prototypes=3, epsilon=0.5, queue_length=B, queue_start_epoch=1).double()
    plain = heads.SwAVHead(**MLP, prototypes=3, epsilon=0.5).double()
    plain.load_state_dict({k: v for k, v in head.state_dict().items() if 'queue' not in k})
    cls, views = inputs()
    losses = []
    for epoch in range(3):
        value = run(head, cls, views, Progress(epoch, 3, 1))[0]['loss_swav'].item()
        losses.append((value, run(plain, cls, views)[0]['loss_swav'].item()))
        commit_step(head, None)
    assert losses[0][0] == losses[0][1] and losses[1][0] == pytest.approx(losses[1][1]), 'not started, not full'
    scores = unit(layers(head.projector, cls['global'])) @ head.prototypes.weight.T
    total = 0.0
    for g, crop in enumerate(scores.chunk(2)):  # the queue holds the same embeddings once more
        q = sinkhorn(torch.cat([crop, crop]).detach(), 0.5)[:B]
        total += -(q * torch.log_softmax(scores.chunk(2)[1 - g] / 0.1, 1)).sum(1).mean()
    assert losses[2][0] == pytest.approx((total / 2).item(), rel=1e-6)


def test_dino_with_sinkhorn_assigns_both_views_together():
    head = heads.DINOHead(D, 7, 8, 4, centering='sinkhorn', teacher_temp=0.5, warmup_teacher_temp=0.5).double()
    teacher = copy.deepcopy(head.projector)
    cls, views = inputs(local=2)
    q = sinkhorn(teacher['cls'](cls['global'] + 0.1).detach(), 0.5).chunk(2)
    s = [*head.projector['cls'](cls['global']).chunk(2), *head.projector['cls'](cls['local']).chunk(2)]
    pairs = [(g, v) for g in range(2) for v in range(4) if v != g]
    want = sum(-(q[g] * torch.log_softmax(s[v] / 0.1, 1)).sum(1).mean() for g, v in pairs) / len(pairs)
    assert run(head, cls, views, teacher=teacher)[0]['loss_cls'].item() == pytest.approx(want.item(), rel=1e-6)


def test_dinov2_adds_koleo_of_every_global_crop():
    head = heads.DINOv2Head(D, 7, koleo_weight=0.1, hidden=8, bottleneck=4)
    from eqssl.structures import Masks

    cls, views = inputs()
    cls = {k: v.float() for k, v in cls.items()}
    grid = torch.zeros(2 * B, 4, dtype=torch.bool)
    grid[0, 1] = True
    views.masks = Masks(grid, torch.tensor([1]), torch.ones(1))
    student, taught = (Selected(cls, torch.randn(1, D)) for _ in range(2))
    losses, _ = head.loss(Step(views, student, taught, copy.deepcopy(head.projector)))
    total = 0.0
    for part in cls['global'].double().chunk(2):
        distances = torch.cdist(unit(part), unit(part)).fill_diagonal_(math.inf)
        total -= distances.min(1).values.log().mean()
    assert losses['loss_koleo'].item() == pytest.approx(0.1 * total.item(), rel=1e-5)
    assert set(losses) == {'loss_cls', 'loss_patch', 'loss_koleo'}


def test_rotnet_labels_are_the_turns_and_perfect_features_reach_accuracy_one():
    head = heads.RotNetHead(4)
    images = torch.rand(2 * B, 3, 4, 4)
    views = Views({'global': images}, {'global': 2}, B, *(torch.arange(B),) * 3)
    head.transform_views(views)
    crops = views.crops['global'].chunk(4)
    assert views.num_views['global'] == 8 and all(torch.equal(crops[k], rotate90(images, k)) for k in range(4))
    assert torch.equal(rotate90(rotate90(images, 1), 3), images) and rotate90(images, 0) is images
    with torch.no_grad():
        head.projector[0].weight.copy_(50 * torch.eye(4))
        head.projector[0].bias.zero_()
    known = torch.eye(4).repeat_interleave(2 * B, 0)
    losses, monitors = run(head, {'global': known}, views)
    assert monitors['agreement'] == 1 and losses['loss_rotation'] < 1e-6
    losses, _ = run(head, {'global': torch.zeros(8 * B, 4)}, views)
    assert losses['loss_rotation'].item() == pytest.approx(math.log(4))


def test_dino_projector_with_batch_norm_has_the_official_layout():
    head = heads.DINOHead(D, 7, 8, 4, use_bn=True)
    kinds = [type(m).__name__ for m in head.projector['cls'].mlp]
    assert kinds == ['Linear', 'BatchNorm1d', 'GELU', 'Linear', 'BatchNorm1d', 'GELU', 'Linear']
    assert head.projector['cls'](torch.randn(3, D)).shape == (3, 7)


def test_mlp_layouts():
    kinds = [type(m).__name__ for m in mlp(3, 4, 5, 3, out_norm='bn_fixed')]
    assert kinds == ['Linear', 'BatchNorm1d', 'ReLU', 'Linear', 'BatchNorm1d', 'ReLU', 'Linear', 'BatchNorm1d']
    plain = mlp(3, 4, 5, 2, norm=False)
    assert [type(m).__name__ for m in plain] == ['Linear', 'ReLU', 'Linear'] and plain[0].bias is not None
    assert len(mlp(3, 4, 5, 1)) == 1


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: heads.SimCLRHead(D, temperature=0), 'model.head.temperature=0'),
        (lambda: heads.SupConHead(D, label_noise=0.1), 'model.head.num_classes'),
        (lambda: heads.SupConHead(D, label_noise=2, num_classes=3), 'model.head.label_noise=2'),
        (lambda: heads.SwAVHead(D, prototypes=1), 'model.head.prototypes=1'),
        (lambda: heads.SwAVHead(D, epsilon=0), 'model.head.epsilon=0'),
        (lambda: heads.DINOHead(D, centering='median'), "model.head.centering='median'"),
        (lambda: heads.DINOHead(D, warmup_teacher_temp=0), 'model.head.warmup_teacher_temp=0'),
        (lambda: heads.IBOTHead(D, patch_teacher_temp=0), 'model.head: temperatures of the patch teacher'),
        (lambda: heads.DINOv2Head(D, koleo_weight=-1), 'model.head.koleo_weight=-1'),
        (lambda: heads.BYOLHead(D, layers=0), 'model.head.layers=0'),
    ],
)
def test_wrong_values_name_the_config_key(make, message):
    with pytest.raises(UserError, match=message), at_key('model.head'):
        make()
