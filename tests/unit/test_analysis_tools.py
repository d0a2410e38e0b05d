"""EffSSL's analyses: gradient signal-to-noise ratio, false negatives of SimCLR, salient crops."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from eqssl.datasets import MultiCrop, MultiViewDataset
from eqssl.datasets.saliency import is_salient, mean_in_box
from eqssl.engine import GradientSNRHook
from eqssl.models.losses import nt_xent
from eqssl.models.saliency import grad_cam, saliency_maps
from eqssl.utils.errors import UserError
from tests.helpers import Images, base_config, batch, build_model, total_loss

pytestmark = pytest.mark.usefixtures('registered')


def watched(hook, shape=(3,)):
    model = nn.Module()
    model.weight = nn.Parameter(torch.zeros(shape))
    wrapper = SimpleNamespace(observers=[], finite=torch.tensor(True))
    run = SimpleNamespace(bare_model=model, optim_wrapper=wrapper, monitors={})
    hook.before_train(run)
    return model.weight, run


def test_gradient_snr_equals_the_loop_over_moving_averages():
    hook = GradientSNRHook(momentum=0.9, prefix='')
    weight, run = watched(hook)
    gradients = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 1.0, 3.0])
    for g in gradients:
        weight.grad = g.clone()
        for observe in run.optim_wrapper.observers:
            observe()
    ratios = []
    for column in gradients.T.tolist():
        mean = square = 0.0
        for g in column:
            mean, square = 0.9 * mean + 0.1 * g, 0.9 * square + 0.1 * g * g
        mean, square = mean / (1 - 0.9**20), square / (1 - 0.9**20)
        ratios.append(mean**2 / (square - mean**2))
    assert run.monitors['gradient_snr']() == pytest.approx(sum(ratios) / 3, rel=1e-4)
    assert ratios[0] < ratios[1] < ratios[2]


def test_gradient_snr_continues_after_a_resume_and_ignores_a_skipped_step():
    one, two = GradientSNRHook(prefix=''), GradientSNRHook(prefix='')
    weight, _ = watched(one)
    for value in (1.0, 2.0, math.nan):
        weight.grad = torch.full((3,), value)
        one.observe()
    two.load_state_dict(one.state_dict())
    other, _ = watched(two)
    for hook, parameter in ((one, weight), (two, other)):
        parameter.grad = torch.full((3,), 0.5)
        hook.observe()
    assert one.measure() == two.measure() and math.isfinite(one.measure())
    wider = GradientSNRHook(prefix='')
    wider.load_state_dict(one.state_dict())
    watched(wider, shape=(4,))
    assert wider.steps == 0 and wider.mean[0].shape == (4,), 'what watched other parameters is of no use'
    with pytest.raises(UserError, match="prefix='neck'"):
        watched(GradientSNRHook(prefix='neck'))


def test_false_negatives_leave_the_denominator_and_unknown_ones_stay():
    z, classes = torch.randn(2, 5, 4, dtype=torch.float64), torch.tensor([0, 1, 0, -1, -1])
    rows, label = F.normalize(z.flatten(0, 1), dim=1), classes.repeat(2).tolist()
    total = 0.0
    for i in range(10):
        positive = (i + 5) % 10
        kept = [j for j in range(10) if j != i and (j == positive or label[i] < 0 or label[j] != label[i])]
        scores = {j: float(rows[i] @ rows[j]) / 0.2 for j in kept}
        total += -scores[positive] + math.log(sum(math.exp(s) for s in scores.values()))
    assert nt_xent(z, 0.2, classes)[0].item() == pytest.approx(total / 10, rel=1e-10)
    torch.testing.assert_close(nt_xent(z, 0.2, torch.full((5,), -1))[0], nt_xent(z, 0.2)[0])


def test_known_labels_are_a_share_of_the_images_and_change_the_loss():
    config = base_config('simclr')
    config['head']['known_labels'] = 0.5
    model, plain = build_model(config), build_model(base_config('simclr'))
    assert model.head.needs_labels and not plain.head.needs_labels
    views = SimpleNamespace(index=torch.arange(4000), label=torch.zeros(4000, dtype=torch.long))
    assert (model.head._classes(views) >= 0).float().mean().item() == pytest.approx(0.5, abs=0.03)
    data = batch(12, local=False)
    assert total_loss(model, data)[0] < total_loss(plain, data)[0], 'fewer negatives'


# -- saliency -----------------------------------------------------------------------------------------------------


def test_grad_cam_by_hand():
    """Two maps; the score is 3 times the mean of the first minus the mean of the second: ReLU(3/4 A - 1/4 B)."""
    maps = torch.tensor([[[[1.0, 0.0], [2.0, 0.0]], [[0.0, 4.0], [8.0, 0.0]]]], requires_grad=True)
    score = 3 * maps[:, 0].mean((1, 2)) - maps[:, 1].mean((1, 2))
    assert grad_cam(maps, score).tolist() == [[[0.75, 0.0], [0.0, 0.0]]]


def test_mean_in_box_equals_the_mean_over_fine_pixels():
    saliency = np.random.default_rng(0).random((4, 4))
    fine = saliency.repeat(10, 0).repeat(10, 1)
    assert mean_in_box(saliency, (7, 3, 21, 30), 40, 40) == pytest.approx(fine[3:33, 7:28].mean())
    assert mean_in_box(saliency, (0, 0, 40, 40), 40, 40) == pytest.approx(saliency.mean())


def test_salient_crops_are_more_salient_in_the_chosen_share():
    saliency = np.zeros((16, 16))
    saliency[:6, :6] = 255
    image = np.zeros((64, 64, 3), np.uint8)
    means = []
    for share in (0.0, 0.5, 1.0):
        views = MultiCrop([dict(size=8, scale=(0.1, 0.2))], salient=share)
        boxes = [views(image, np.random.default_rng(i), saliency)['global']['box'][0] for i in range(300)]
        means.append(np.mean([is_salient(saliency, tuple(b[:4].astype(int)), 64, 64) for b in boxes]))
    assert means[0] < means[1] - 0.1 < means[2] - 0.2 and means[2] > 0.9
    plain = MultiCrop([dict(size=8)])
    a, b = (m(image, np.random.default_rng(1)) for m in (plain, MultiCrop([dict(size=8)], salient=1.0)))
    assert np.array_equal(a['global']['box'], b['global']['box']), 'without maps nothing changes'


def test_maps_of_a_supervised_network_and_the_data_set_that_uses_them(tmp_path):
    config = base_config('simclr', 'resnet')
    config['head'] = dict(type='eqssl.SupervisedHead', num_classes=3)
    model = build_model(config)
    loss, out = total_loss(model, batch(6, local=False))
    loss.backward()
    assert 0 <= out['agreement'] <= 1
    maps = saliency_maps(model.eval(), torch.randn(5, 3, 32, 32), torch.tensor([0, 1, 2, 0, 1]))
    assert maps.shape == (5, 16, 16) and maps.dtype == np.uint8
    views = dict(type='eqssl.MultiCrop', views=[dict(size=16, num=2)], salient=0.5)
    with pytest.raises(
        UserError, match=r'^train_dataloader.dataset.views.salient=0.5 needs train_dataloader.dataset.saliency'
    ):
        MultiViewDataset(Images(4), dict(views))
    np.save(tmp_path / 'maps.npy', np.zeros((3, 16, 16), np.uint8))
    with pytest.raises(UserError, match='a map for each of the 4 images'):
        MultiViewDataset(Images(4), dict(views), saliency=str(tmp_path / 'maps.npy'))
    np.save(tmp_path / 'maps.npy', np.ones((4, 16, 16), np.uint8))
    data = MultiViewDataset(Images(4), dict(views), saliency=str(tmp_path / 'maps.npy'))
    assert data[(1, 1)]['groups']['global']['crops'].shape == (2, 16, 16, 3)
