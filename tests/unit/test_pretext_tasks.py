"""Rotation and jigsaw: exact turns, drawn labels, losses, permutations, patches."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eqssl.augment.permutations import hamming_permutations
from eqssl.augment.rotations import rotate90, rotate_by_label
from eqssl.models.auxiliary import RotationHead
from eqssl.models.auxiliary.jigsaw import cut_patches
from eqssl.models.label_noise import wrong_labels
from tests.helpers import base_config, batch, build_model
from tests.tasks import data, with_tasks

pytestmark = pytest.mark.usefixtures('registered')


# -- rotation --------------------------------------------------------------------------------------------------------


def test_labels_turn_by_their_angle_and_quarter_turns_are_exact():
    images = torch.rand(8, 3, 12, 12)
    labels = torch.arange(8)
    turned = rotate_by_label(images, labels, 8)
    for k in range(0, 8, 2):
        assert torch.equal(turned[k], rotate90(images[k : k + 1], k // 2)[0])
    assert torch.equal(rotate_by_label(images[:4], torch.arange(4), 4)[3], torch.rot90(images[3], 3, (1, 2)))
    assert torch.equal(rotate_by_label(images, 0 * labels, 12), images)
    half = rotate_by_label(images[:2], torch.tensor([0, 1]), 2)
    assert torch.equal(half[1], images[1].flip(1, 2))


def test_forty_five_degrees_twice_is_a_quarter_turn_away_from_the_corners():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing='ij')
    image = torch.exp(-((x - 0.3) ** 2 + y**2) / 0.05)[None, None].expand(1, 3, -1, -1)
    one = torch.tensor([1])
    twice = rotate_by_label(rotate_by_label(image, one, 8), one, 8)
    assert (twice - rotate90(image, 1)).abs().max() < 0.05


def test_angles_are_drawn_for_each_view_and_image_and_are_uniform():
    model = build_model(with_tasks('simclr', 'rotation'))
    counts = torch.zeros(4)
    same = total = 0
    for start in range(0, 1200, 60):
        labels = model.data_preprocessor(batch(60, start, local=False), True)['views'].params['angle/rotation']
        counts += labels.bincount(minlength=4)
        same += (labels[:60] == labels[60:]).sum().item()
        total += 60
    assert (counts / counts.sum() - 0.25).abs().max() < 0.03 and abs(same / total - 0.25) < 0.05


def test_features_that_hold_the_angle_reach_accuracy_one():
    head = RotationHead(4, angles=4, hidden=8, layers=1)
    with torch.no_grad():
        head.out.weight.copy_(50 * torch.eye(4))
        head.out.bias.zero_()
    labels = torch.tensor([0, 1, 2, 3, 3])
    value, accuracy = head.loss(torch.eye(4)[labels], labels)
    assert accuracy == 1 and value < 1e-6
    assert head.loss(torch.zeros(5, 4), labels)[0].item() == pytest.approx(math.log(4))


def test_forms_of_the_rotation_loss_equal_their_formulas():
    labels = torch.tensor([0, 1, 2, 3, 1, 0])
    features = torch.randn(6, 5, dtype=torch.float64)
    head = RotationHead(5, hidden=7, layers=2, norm='ln', loss='cosine').double()
    x = head.mlp(features)
    want = -sum(F.cosine_similarity(x[i], head.out.weight[labels[i]], dim=0) for i in range(6)) / 6
    assert head.loss(features, labels)[0].item() == pytest.approx(want.item(), rel=1e-9)
    head = RotationHead(5, hidden=7, layers=2, norm='ln', loss='supcon', temperature=0.2).double()
    z = F.normalize(head.mlp(features), dim=1)
    log_p = torch.log_softmax((z @ z.T / 0.2).fill_diagonal_(-math.inf), 1)
    total = 0.0
    for i in range(6):
        positives = [log_p[i, j] for j in range(6) if j != i and labels[j] == labels[i]]
        total -= sum(positives) / max(1, len(positives))
    classes = F.cross_entropy(head.out(head.mlp(features)), labels)
    assert head.loss(features, labels)[0].item() == pytest.approx((total / 6 + classes).item(), rel=1e-9)


def test_label_noise_has_its_rate_and_is_never_the_true_class():
    u = torch.rand(20000, 2)
    labels = torch.randint(0, 4, (20000,))
    noisy = wrong_labels(labels, u, 0.25, 4)
    assert (noisy != labels).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert (wrong_labels(labels, u, 1.0, 4) != labels).all()


def test_shared_stages_are_the_students_own_and_later_ones_are_copies():
    model = build_model(with_tasks('simclr', 'rotation_own_layers'))
    branch, backbone = model.auxiliary['rotation_own_layers'].branch, model.backbone
    assert branch.patch_embed is backbone.patch_embed and branch.pos_embed is backbone.pos_embed
    assert branch.layers[0] is backbone.layers[0] and branch.layers[1] is not backbone.layers[1]
    own = {id(p) for p in branch.layers[1].parameters()}
    assert own <= {id(p) for p in model.parameters()} and not own & {id(p) for p in backbone.parameters()}


def test_essl_turns_its_own_small_crops_in_every_angle():
    config = base_config('simclr')
    config['auxiliary'] = dict(
        rotation=dict(
            type='eqssl.RotationTask', group='local', scale=1.0, features='backbone', weight=0.4,
            head=dict(type='eqssl.RotationHead', hidden=16, layers=3, norm='ln'),
        )
    )  # fmt: skip
    model = build_model(config)
    views = model.data_preprocessor(batch(6), True)['views']
    assert views.crops['local'].shape[0] == 4 * 2 * 6 and views.extra == {'local'}
    out = model.loss(views)
    plain = build_model(base_config('simclr'))
    assert torch.equal(
        out['loss_simclr'], plain.loss(plain.data_preprocessor(batch(6, local=False), True)['views'])['loss_simclr']
    )


# -- jigsaw ----------------------------------------------------------------------------------------------------------


def test_permutations_are_distinct_and_far_apart():
    chosen = hamming_permutations(9, 100)
    distance = (chosen[:, None] != chosen[None]).sum(-1)[~np.eye(100, dtype=bool)]
    assert chosen.shape == (100, 9) and (np.sort(chosen, 1) == np.arange(9)).all()
    assert distance.min() >= 6 and distance.mean() > 8  # 7 cannot be passed: a code of distance 8 has at most 72 words
    assert sorted(map(tuple, hamming_permutations(4, 24))) == sorted(permutations(range(4)))


def test_patches_come_from_their_cells():
    image = torch.arange(12 * 12, dtype=torch.float32).reshape(1, 1, 12, 12).expand(2, 3, 12, 12)
    low = cut_patches(image, 3, 3, torch.zeros(2, 9, 2))
    assert torch.equal(low[5, 0, 0], image[0, 0, 4:7, 8:11])  # second row, third column
    high = cut_patches(image, 3, 3, torch.full((2, 9, 2), 0.999))
    assert torch.equal(high[0, 1, 2], image[1, 2, 1:4, 1:4])
    whole = cut_patches(image, 3, 4, torch.rand(2, 9, 2))
    assert torch.equal(torch.cat([torch.cat(list(whole[3 * r : 3 * r + 3, 0, 0]), 1) for r in range(3)]), image[0, 0])


def test_shown_patches_are_the_drawn_permutation():
    config = with_tasks('simclr', 'jigsaw')
    config['auxiliary']['jigsaw'].update(gray_prob=0.0, patch=4, scale=1.0, cells=3)
    model = build_model(config)
    task = model.auxiliary['jigsaw']
    seen = {}
    plain = task.transform_views

    def spy(views):
        seen['image'] = views.view('global', 0).clone()
        plain(views)
        seen['crops'] = views.crops['jigsaw_patches'].clone()

    model.data_preprocessor.view_transforms = [spy]
    views = model.data_preprocessor(data('simclr'), True)['views']
    from eqssl.utils.randomness import uniforms

    u = uniforms(views.key, 'jigsaw', 20)[:, 2:].unflatten(1, (9, 2))
    patches = cut_patches(seen['image'], 3, 4, u)
    order = task.order[views.params['permutation/jigsaw']]
    shown = seen['crops'].unflatten(0, (9, 6))
    for place in range(9):
        for image in range(6):
            assert torch.equal(shown[place, image], patches[order[image, place], image])
