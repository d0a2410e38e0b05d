"""Intermediate reconstruction: targets, the loss, decoders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from eqssl.augment.paths import Rotation
from eqssl.models.auxiliary.intermediate_recon import path_targets
from eqssl.models.decoders import ReconDecoder, TokenDecoder
from eqssl.models.decoders.conv import stage_sizes
from eqssl.utils.errors import UserError
from tests.helpers import batch, build_model, model_config

pytestmark = pytest.mark.usefixtures('registered')


def test_targets_of_30_degrees_with_two_images_are_10_and_20_degrees():
    x, path = torch.rand(2, 3, 16, 16), Rotation()
    v2, targets = path_targets(path, x, torch.full((2, 1), 30.0), 2)
    for degrees, image in ((10.0, targets[0]), (20.0, targets[1]), (30.0, v2)):
        torch.testing.assert_close(image, path.apply(x, torch.full((2, 1), degrees)), atol=1e-5, rtol=0)


@pytest.mark.parametrize('count', [1, 2, 3])
def test_view_v2_replaces_the_second_crop_and_theta_is_recorded(count):
    config = model_config()
    config['auxiliary']['recon']['num_images'] = count
    model, base = build_model(config), build_model(model_config(recon=False))
    data = batch()
    views, plain = (m.data_preprocessor(data, True)['views'] for m in (model, base))
    assert torch.equal(views.view('global', 0), plain.view('global', 0))
    assert not torch.equal(views.view('global', 1), plain.view('global', 1))
    assert views.targets['recon'].shape == (count, 6, 3, 16, 16)
    theta = views.params['theta/recon']
    u = base.data_preprocessor.denormalize(plain.view('global', 1))
    want = model.data_preprocessor.normalize(model.auxiliary['recon'].path.apply(u, theta))
    torch.testing.assert_close(views.view('global', 1), want, atol=2e-3, rtol=0)


class Fixed(nn.Module):
    """A decoder that returns what it was given."""

    def __init__(self, image):
        super().__init__()
        self.image = image

    def forward(self, tokens):
        return self.image


def test_a_decoder_that_returns_the_target_has_loss_zero_and_a_constant_image_the_targets_variance():
    model = build_model()
    views = model.data_preprocessor(batch(), True)['views']
    task, step, target = model.auxiliary['recon'], model.encode(views), views.targets['recon']
    task.decoders = nn.ModuleList(Fixed(t) for t in target)
    assert task.loss(step)[0].item() == 0
    mean = target.mean(dim=(1, 3, 4), keepdim=True)
    task.decoders = nn.ModuleList(Fixed(m.expand_as(target[0])) for m in mean)
    loss, monitors = task.loss(step)
    want = np.mean([t.double().var(dim=(0, 2, 3), correction=0).mean().item() for t in target])
    assert loss.item() == pytest.approx(want, rel=1e-5) and monitors['unexplained'].item() == pytest.approx(1, rel=1e-5)


def test_loss_equals_a_float64_loop():
    model = build_model()
    views = model.data_preprocessor(batch(), True)['views']
    step = model.encode(views)
    found, target = model.auxiliary['recon'].reconstruct(step).detach().double(), views.targets['recon'].double()
    total = 0.0
    for k in range(2):
        for b in range(6):
            total += float(((found[k, b] - target[k, b]) ** 2).sum()) / (3 * 16 * 16)
    assert model.auxiliary['recon'].loss(step)[0].item() == pytest.approx(total / 12, rel=1e-5)


def test_decoders_see_both_views_and_are_independent():
    model = build_model().eval()
    views = model.data_preprocessor(batch(), True)['views']
    task, step = model.auxiliary['recon'], model.encode(views)
    equi = step.equivariant('global').detach().clone()

    def images(changed):
        step.equivariant = lambda group: changed
        return task.reconstruct(step)

    plain = images(equi)
    for view in (0, 1):
        changed = equi.clone()
        changed[view * 6 : (view + 1) * 6] += 1
        assert not torch.allclose(images(changed), plain)
    assert not torch.equal(plain[0], plain[1])
    weights = [d.linear.weight for d in task.decoders]
    assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize(('grid', 'size'), [(14, 224), (4, 32), (8, 32), (16, 224), (7, 98)])
@pytest.mark.parametrize('decoder', [ReconDecoder, TokenDecoder])
def test_decoders_reach_the_image_size(decoder, grid, size):
    image = decoder(12, grid=grid, image_size=size)(torch.randn(2, grid * grid, 12))
    assert image.shape == (2, 3, size, size)


def test_decoder_stages_double_as_late_as_possible():
    assert stage_sizes(14, 224) == [28, 56, 112, 224]
    assert stage_sizes(8, 32) == [8, 8, 16, 32]
    assert stage_sizes(16, 224)[-1] == 224


def test_paper_decoder_costs_what_the_design_says():
    """One linear and four convolutions; K = 2 at 224 px: 0.94 GMAC forward."""
    from eqssl.utils.counters import flop_counter

    with torch.device('meta'):
        decoder, tokens = ReconDecoder(4096), torch.randn(1, 196, 4096)
    with flop_counter() as flops:
        decoder(tokens)
    kinds = [type(m).__name__ for m in decoder.modules()]
    assert kinds.count('Linear') == 1 and kinds.count('Conv2d') == 4
    assert 2 * flops.get_total_flops() / 2 == pytest.approx(0.94e9 * 2, rel=0.15)


def test_token_decoder_of_depth_0_paints_each_patch_from_its_own_token():
    decoder = TokenDecoder(6, grid=4, image_size=16, depth=0)
    tokens = torch.randn(1, 16, 6)
    changed = tokens.clone()
    changed[0, 5] += 1
    moved = (decoder(changed) - decoder(tokens)).abs().sum((0, 1)) > 1e-6
    assert moved[4:8, 4:8].all() and moved.sum() == 16


def test_overlapping_patches_reach_half_a_patch_further_and_add_up():
    decoder = TokenDecoder(6, grid=4, image_size=16, depth=0, overlap=True)
    tokens = torch.randn(1, 16, 6)
    images = []
    for places in ([5], [6], [5, 6], [0]):
        changed = tokens.clone()
        changed[0, places] += torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
        images.append(decoder(changed) - decoder(tokens))
    for image, rows, columns in ((images[0], (2, 10), (2, 10)), (images[3], (0, 6), (0, 6))):
        moved = image.abs().sum((0, 1)) > 1e-6
        assert moved[slice(*rows), slice(*columns)].all() and moved.sum() == (rows[1] - rows[0]) ** 2
    torch.testing.assert_close(images[0] + images[1], images[2], atol=1e-5, rtol=0)
    with pytest.raises(UserError, match='even side, not 3'):
        TokenDecoder(6, grid=4, image_size=12, overlap=True)


def test_a_decoder_without_norms_keeps_contrast():
    """Features twice as large draw twice the contrast (GELU bends it a little); a group norm takes it away."""
    torch.manual_seed(0)
    plain, normed = (ReconDecoder(12, grid=4, image_size=16, groups=groups) for groups in (None, 8))
    tokens = 10 * torch.randn(4, 16, 12)

    def growth(decoder):
        return float((decoder(2 * tokens).std() / decoder(tokens).std()).log2())

    assert growth(plain) > 0.8 and abs(growth(normed)) < 0.1
    with pytest.raises(UserError, match='multiples of groups=8'):
        ReconDecoder(12, grid=4, image_size=16, channels=(12, 8, 8))


def test_one_global_crop_is_refused():
    model = build_model()
    data = batch()
    data['crops']['global'] = data['crops']['global'][:1]
    data['photo']['global'] = data['photo']['global'][:1]
    with pytest.raises(UserError, match='auxiliary.recon needs two crops'):
        model.data_preprocessor(data, True)
