"""iBOT head: an independent reference of the whole loss, centers, temperature, frozen last layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from eqssl.models.heads import IBOTHead
from eqssl.models.heads.center import Center
from eqssl.models.heads.projector import Projector
from eqssl.models.layers import commit_step
from eqssl.models.monitors import spread
from eqssl.models.step import Selected, Step
from eqssl.structures import Masks, Views
from eqssl.utils.errors import UserError, at_key
from eqssl.utils.progress import Progress

B, N, D, K = 3, 4, 8, 6


def make(**kw):
    torch.manual_seed(0)
    head = IBOTHead(in_channels=D, out_dim=K, hidden=10, bottleneck=5, warmup_teacher_temp_epochs=10, **kw)
    teacher = torch.nn.ModuleDict(
        {k: Projector(D, 10, 5, v.last_layer.weight_v.shape[0]) for k, v in head.projector.items()}
    )
    generator = torch.Generator().manual_seed(1)
    tokens = {
        'student': torch.randn(2 * B, N + 1, D, generator=generator),
        'local': torch.randn(3 * B, D, generator=generator),
        'teacher': torch.randn(2 * B, N + 1, D, generator=generator),
    }
    grid = torch.rand(2 * B, N, generator=generator) < 0.4
    grid[0], grid[1] = False, torch.tensor([True, True, False, False])
    index = grid.flatten().nonzero().flatten()
    weight = 1 / grid.sum(1)[index // N].float()
    pad = torch.zeros(3)
    masks = Masks(grid, torch.cat([index, pad.long()]), torch.cat([weight, pad]))
    empty = torch.zeros(B, dtype=torch.long)
    views = Views({}, {'global': 2, 'local': 3}, B, empty, empty, empty, masks=masks)
    student = Selected(
        {'global': tokens['student'][:, 0], 'local': tokens['local']},
        tokens['student'][:, 1:].flatten(0, 1)[masks.index],
    )
    patch = tokens['teacher'][:, 1:]
    taught = Selected({'global': tokens['teacher'][:, 0]}, patch.flatten(0, 1)[masks.index], patch)
    return head, teacher, student, taught, views, tokens


def reference(head, teacher, tokens, grid, temp):
    """The official code's order of operations in float64: heads on every token, double loop, masked mean."""

    def project(projector, x):
        x = x.double()
        for layer in projector.mlp:
            x = F.gelu(x) if isinstance(layer, torch.nn.GELU) else x @ layer.weight.double().T + layer.bias.double()
        x = x / x.norm(dim=-1, keepdim=True)
        v = projector.last_layer.weight_v.double()
        return x @ (v / v.norm(dim=1, keepdim=True) * projector.last_layer.weight_g.double()).T

    which = 'cls' if head.shared else 'patch'
    s_cls = torch.cat(
        [project(head.projector['cls'], tokens['student'][:, 0]), project(head.projector['cls'], tokens['local'])]
    )
    s_patch, t_patch = (
        project(p[which], tokens[name][:, 1:]) for p, name in ((head.projector, 'student'), (teacher, 'teacher'))
    )
    t_cls = project(teacher['cls'], tokens['teacher'][:, 0])
    q_cls, q_patch = torch.softmax(t_cls / temp, -1).chunk(2), torch.softmax(t_patch / temp, -1).chunk(2)
    cls, terms, patch = 0, 0, 0
    for g in range(2):
        for v, s in enumerate(s_cls.chunk(5)):
            if v == g:
                log_p = torch.log_softmax(s_patch.chunk(2)[v] / 0.1, -1)
                ce = -(q_patch[g] * log_p).sum(-1)
                mask = grid.chunk(2)[v].double()
                patch += ((ce * mask).sum(-1) / mask.sum(-1).clamp(min=1)).mean() / 2
            else:
                cls += -(q_cls[g] * torch.log_softmax(s / 0.1, -1)).sum(-1).mean()
                terms += 1
    return cls / terms, patch, t_cls, t_patch


@pytest.mark.parametrize('shared', [True, False])
@pytest.mark.parametrize('patch_center', ['masked', 'all'])
def test_losses_and_centers_equal_the_official_layout_in_float64(shared, patch_center):
    head, teacher, student, taught, views, tokens = make(shared=shared, patch_center=patch_center)
    losses, _ = head.loss(Step(views, student, taught, teacher))
    cls, patch, t_cls, t_patch = reference(head, teacher, tokens, views.masks.grid, 0.04)
    assert losses['loss_cls'].item() == pytest.approx(cls.item(), rel=1e-5)
    assert losses['loss_patch'].item() == pytest.approx(patch.item(), rel=1e-5)
    commit_step(head, None)
    torch.testing.assert_close(head.cls_center.center.double(), 0.1 * t_cls.mean(0), rtol=1e-4, atol=1e-6)
    wanted = t_patch[views.masks.grid].mean(0) if patch_center == 'masked' else t_patch.mean((0, 1))
    center = head.patch_center.center
    if patch_center == 'all':  # kept in the bottleneck; the last layer is linear
        projector = teacher['cls' if shared else 'patch']
        center = projector.last_layer.weight() @ center
    torch.testing.assert_close(center.double(), 0.1 * wanted, rtol=1e-4, atol=1e-6)


def test_center_waits_for_the_optimizer_step_and_two_halves_equal_one_whole():
    whole, halves = Center(3), Center(3)
    x = torch.randn(8, 3)
    whole.add(x)
    commit_step(whole, None)
    halves.add(x[:4])
    assert torch.equal(halves.center, torch.zeros(3))
    halves.add(x[4:])
    commit_step(halves, None)
    torch.testing.assert_close(whole.center, halves.center)
    torch.testing.assert_close(whole.center, 0.1 * x.mean(0))


def test_center_ignores_a_non_finite_step_and_padding():
    center = Center(2)
    center.add(torch.full((4, 2), float('nan')))
    commit_step(center, torch.tensor(False))
    assert torch.equal(center.center, torch.zeros(2)) and torch.equal(center.pending, torch.zeros(3))
    center.add(torch.tensor([[1.0, 2], [50, 50]]), torch.tensor([1.0, 0]))
    commit_step(center, torch.tensor(True))
    torch.testing.assert_close(center.center, torch.tensor([0.1, 0.2]))


def test_teacher_temperature_warms_up_by_epochs():
    head = make()[0]
    values = [head.temperature('cls', Progress(i, 100, 2)) for i in (0, 10, 20, 40)]
    assert values == pytest.approx([0.04, 0.055, 0.07, 0.07])


def test_no_gradient_reaches_the_teacher_and_every_student_parameter_gets_one():
    head, teacher, student, taught, views, _ = make()
    losses, _ = head.loss(Step(views, student, taught, teacher))
    sum(losses.values()).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in head.projector.parameters() if p.requires_grad)


def test_spread_tells_collapse_from_health():
    assert spread(torch.randn(64, 16)) > 0.9
    assert spread(torch.ones(64, 16)) < 1e-5


@pytest.mark.parametrize(
    'kw', [dict(student_temp=0), dict(patch_center='some'), dict(patch_out_dim=9), dict(teacher_temp=-1)]
)
def test_wrong_parameters_name_the_config_key(kw):
    with pytest.raises(UserError, match='model.head'), at_key('model.head'):
        IBOTHead(in_channels=4, out_dim=5, **kw)
