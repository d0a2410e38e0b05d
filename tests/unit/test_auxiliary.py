"""Auxiliary tasks: references, analytic cases, drawn angles and permutations, what they add to a step."""

from __future__ import annotations

import copy
import math
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eqssl.augment.permutations import hamming_permutations
from eqssl.augment.rotations import rotate90, rotate_by_label
from eqssl.models.auxiliary import RotationHead
from eqssl.models.auxiliary.adaptive_topk import most_similar
from eqssl.models.auxiliary.conditions import canonical, crop_difference, rotation_quaternion
from eqssl.models.auxiliary.cross_attention import cross_attend
from eqssl.models.auxiliary.jigsaw import cut_patches
from eqssl.models.auxiliary.sie import HyperPredictor
from eqssl.models.label_noise import wrong_labels
from eqssl.utils.counters import HostReads, counted
from eqssl.utils.errors import UserError
from tests.helpers import BASES, base_config, batch, build_model, total_loss

pytestmark = pytest.mark.usefixtures('registered')
DECODER = dict(type='eqssl.ReconDecoder', width=16, channels=(16, 8, 8))
# name -> (config, extra backbone calls on a ViT beside simclr: groups of another size, or passes of their own)
TASKS = {
    'recon': (dict(type='eqssl.IntermediateRecon', path=dict(type='eqssl.SE2'), decoder=DECODER), 0),
    'cross': (dict(type='eqssl.CrossAttnRecon', decoder=DECODER), 0),
    'cross_free': (
        dict(type='eqssl.CrossAttnRecon', decoder=DECODER, learnable=False, target='both', residual=True), 0
    ),
    'rotation': (dict(type='eqssl.RotationTask', head=dict(type='eqssl.RotationHead', hidden=16)), 1),
    'rotation_paper': (
        dict(type='eqssl.RotationTask', scale=1.0, features='backbone',
             head=dict(type='eqssl.RotationHead', hidden=16)), 0
    ),
    'rotation_own_layers': (
        dict(type='eqssl.RotationTask', features='backbone', shared_stages=1, angles=8,
             head=dict(type='eqssl.RotationHead', hidden=16, loss='supcon')), 1
    ),
    'jigsaw': (dict(type='eqssl.JigsawTask', scale=1.0, permutations=6, patch=4, hidden=8), 1),
    'topk': (dict(type='eqssl.AdaptiveTopK', share=0.34), 1),
    'sie': (dict(type='eqssl.SIETask', path=dict(type='eqssl.Rotation'), hidden=16, out_dim=8), 0),
    'sie_views': (dict(type='eqssl.SIETask', hidden=16, out_dim=8), 0),
    'augself': (dict(type='eqssl.AugSelfTask', fields=('crop', 'flip', 'color', 'blur'), hidden=16), 0),
    'equimod': (dict(type='eqssl.EquiModTask', hidden=16, out_dim=8, condition_dims=8), 0),
}  # fmt: skip
NECK = dict(type='eqssl.SplitNeck', in_channels=32, out_channels=36, equi_dims=16)


def with_tasks(base, *names, weight=1.0):
    config = base_config(base)
    config['neck'] = dict(NECK)
    config['auxiliary'] = {name: {**copy.deepcopy(TASKS[name][0]), 'weight': weight} for name in names}
    return config


def data(base, start=0):
    return batch(6, start, local=BASES[base][1])


# -- every base x every task --------------------------------------------------------------------------------------


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('base', BASES)
def test_every_task_trains_on_every_base_and_weight_zero_is_the_base(base, task):
    model = build_model(with_tasks(base, task))
    loss, out = total_loss(model, data(base))
    loss.backward()
    assert torch.isfinite(loss) and out[f'loss_{task}'] != 0
    assert [k for k, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    plain, off = build_model(base_config(base)), build_model(with_tasks(base, task, weight=0.0))
    values = [total_loss(m, data(base))[0] for m in (plain, off)]
    assert torch.equal(*values)


@pytest.mark.parametrize('pair', [('rotation', 'jigsaw'), ('recon', 'rotation'), ('cross', 'topk'), ('sie', 'augself')])
@pytest.mark.parametrize('base', ['ibot', 'byol', 'swav'])
def test_two_tasks_at_once_without_host_reads_and_without_disturbing_each_other(base, pair):
    model = build_model(with_tasks(base, *pair))
    total_loss(model, data(base))
    with HostReads() as reads:
        _, out = total_loss(model, data(base))
    assert reads.reads == 0
    alone = [build_model(with_tasks(base, name)) for name in pair]
    if pair[0] != 'recon':  # recon replaces the second crop, which the other task then sees
        for name, single in zip(pair, alone, strict=True):
            torch.testing.assert_close(total_loss(single, data(base))[1][f'loss_{name}'], out[f'loss_{name}'])


@pytest.mark.parametrize('task', TASKS)
def test_only_declared_passes_are_added(task):
    model = build_model(with_tasks('simclr', task))
    with counted() as counts:
        total_loss(model, data('simclr'))
    assert counts['backbone_calls'] == 1 + TASKS[task][1]


@pytest.mark.parametrize('task', ['rotation', 'rotation_own_layers', 'jigsaw', 'topk', 'augself', 'equimod'])
def test_tasks_on_a_resnet_keep_their_views_out_of_the_base_methods_batch_norm(task):
    config = base_config('byol', 'resnet')
    plain = build_model(config)
    config['auxiliary'] = {task: copy.deepcopy(TASKS[task][0])}
    model = build_model(config)
    views = [m.data_preprocessor(data('byol'), True)['views'] for m in (plain, model)]
    a, b = plain.loss(views[0]), model.loss(views[1])
    assert torch.equal(a['loss_byol'], b['loss_byol'])
    (b['loss_byol'] + b[f'loss_{task}']).backward()


# -- rotation -----------------------------------------------------------------------------------------------------


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


# -- jigsaw -------------------------------------------------------------------------------------------------------


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


# -- cross-attention ----------------------------------------------------------------------------------------------


def test_cross_attention_equals_the_loop():
    q, k, v = (torch.randn(2, n, d, dtype=torch.float64) for n, d in ((3, 4), (5, 4), (5, 6)))
    got = cross_attend(q, k, v, 2.0)
    for b in range(2):
        for i in range(3):
            scores = [math.exp(float(q[b, i] @ k[b, j]) / 2) for j in range(5)]
            want = sum(s * v[b, j] for j, s in enumerate(scores)) / sum(scores)
            torch.testing.assert_close(got[b, i], want)


def test_orthonormal_tokens_at_low_temperature_fetch_their_match():
    tokens, order = torch.eye(6)[None], torch.randperm(6)
    values = torch.randn(1, 6, 3)
    got = cross_attend(tokens[:, order], tokens, values, 0.01)
    torch.testing.assert_close(got, values[:, order])


def test_the_target_view_asks_and_the_other_view_answers():
    model = build_model(with_tasks('simclr', 'cross')).eval()
    task, step = model.auxiliary['cross'], model.encode(model.data_preprocessor(data('simclr'), True)['views'])
    first, second = step.equivariant('global').split(6)
    fetched = cross_attend(task.query(second), task.key(first), task.value(first), 16**0.5)
    torch.testing.assert_close(task.reconstruct(step)[0], task.decoder(fetched))
    task.targets = (0, 1)
    torch.testing.assert_close(task.reconstruct(step)[1], task.decoder(fetched))


def test_a_decoder_that_knows_the_view_has_loss_zero_and_gray_the_views_variance():
    model = build_model(with_tasks('simclr', 'cross_free'))
    views = model.data_preprocessor(data('simclr'), True)['views']
    task, step = model.auxiliary['cross_free'], model.encode(views)
    target = torch.stack([views.view('global', 0), views.view('global', 1)])
    task.reconstruct = lambda _: target
    assert task.loss(step)[0] == 0
    task.reconstruct = lambda _: target.mean((1, 3, 4), keepdim=True).expand_as(target)
    error, monitors = task.loss(step)
    assert error.item() == pytest.approx(target.var((1, 3, 4), correction=0).mean().item(), rel=1e-5)
    assert monitors['unexplained'].item() == pytest.approx(1, rel=1e-5)


# -- top-k --------------------------------------------------------------------------------------------------------


def test_the_k_most_similar_pairs_are_taken_ties_by_order():
    first = F.normalize(torch.randn(9, 4), dim=1)
    similarity = torch.tensor([0.1, 0.9, 0.5, 0.9, -1.0, 0.9, 0.3, 0.0, 0.95])
    other = F.normalize(torch.randn(9, 4), dim=1)
    other = F.normalize(other - (other * first).sum(1, keepdim=True) * first, dim=1)
    second = similarity[:, None] * first + (1 - similarity**2).sqrt()[:, None] * other
    chosen, found = most_similar(first, second, 3)
    torch.testing.assert_close(found, similarity, atol=1e-6, rtol=0)
    assert chosen[0] == 8 and set(chosen.tolist()) <= {8, 1, 3, 5}
    same = torch.ones(5, 2)
    assert most_similar(same, same, 2)[0].tolist() == [0, 1]


def test_topk_loss_is_one_minus_cosine_of_strong_views_and_the_teachers_target():
    model = build_model(with_tasks('byol', 'topk'))
    task = model.auxiliary['topk']
    task.keep_picture = True
    views = model.data_preprocessor(data('byol'), True)['views']
    out = model.loss(views)
    picked = task.picked
    assert len(picked['index']) == 2 and out['topk_rescued'].item() == pytest.approx(2 / 6)
    assert (picked['similarity'] >= out['topk_similarity']).all() and picked['strong'].min() >= 0
    with torch.no_grad():
        output = model.head.projector(model.backbone([model.data_preprocessor.normalize(picked['strong'])])[0].cls)
        teacher = model.teacher.projector(model.teacher.backbone([views.view('global', 0)])[0].cls)
    want = 1 - F.cosine_similarity(output, teacher[picked['index']], dim=1).mean()
    assert out['loss_topk'].item() == pytest.approx(want.item(), abs=1e-5)
    task.strength = 0.0
    with counted() as counts:
        out = model.loss(views)
    assert out['loss_topk'] == 0 and out['topk_rescued'] == 0 and counts['backbone_calls'] == 2


def test_topk_hook_owns_the_schedule_and_draws_what_was_picked(tmp_path):
    from eqssl.engine import AdaptiveTopKHook

    model = build_model(with_tasks('byol', 'topk'))
    hook = AdaptiveTopKHook(start=2, ramp=4, share=0.5, picture_interval=4)
    run = SimpleNamespace(bare_model=model, work_dir=str(tmp_path), train_loop=SimpleNamespace(iters_per_epoch=1))
    seen = []
    for iteration in range(8):
        run.iter = iteration
        hook.before_train_iter(run, iteration)
        seen.append(model.auxiliary['topk'].strength)
        total_loss(model, data('byol', 6 * iteration))
        hook.after_train_iter(run, iteration)
    assert seen == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1] and model.auxiliary['topk'].count(6) == 3
    assert sorted(p.name for p in (tmp_path / 'topk').iterdir()) == ['iter_4.png', 'iter_8.png']
    with pytest.raises(UserError, match="task='easy' is not under model.auxiliary"):
        AdaptiveTopKHook(task='easy').before_train_iter(run, 0)


# -- SIE and baselines --------------------------------------------------------------------------------------------


def test_hyperpredictor_is_bilinear_and_the_identity_has_one_matrix():
    predictor = HyperPredictor(4, 5)
    features, q = torch.randn(3, 5), torch.randn(3, 4)
    got = predictor(features, q)
    weight = predictor.weights.weight.reshape(5, 5, 4)
    for b in range(3):
        matrix = torch.stack([torch.stack([weight[i, j] @ q[b] for j in range(5)]) for i in range(5)])
        torch.testing.assert_close(got[b], matrix @ features[b])
    torch.testing.assert_close(predictor(2 * features, q), 2 * got)
    torch.testing.assert_close(predictor(features, -q), -got)
    identity = rotation_quaternion(torch.zeros(3))
    assert torch.equal(identity, torch.tensor([[0.0, 0, 0, 1]]).expand(3, 4))
    torch.testing.assert_close(predictor(features, identity), features @ weight[..., 3].T)


def test_q_and_minus_q_are_the_same_turn():
    q = F.normalize(torch.randn(50, 4), dim=1)
    torch.testing.assert_close(canonical(q), canonical(-q))
    half = torch.tensor([[0.0, 0.0, -1.0, 0.0]])
    assert torch.equal(canonical(half), -half)
    angle = torch.tensor([0.7])
    torch.testing.assert_close(rotation_quaternion(angle), rotation_quaternion(angle + 2 * math.pi), atol=1e-6, rtol=0)
    assert rotation_quaternion(angle)[0].tolist() == pytest.approx([0, 0, math.sin(0.35), math.cos(0.35)])


def test_sie_loss_equals_its_formula():
    model = build_model(with_tasks('vicreg', 'sie'))
    views = model.data_preprocessor(data('vicreg'), True)['views']
    task, step = model.auxiliary['sie'], model.encode(views)
    y, moved = (step.equivariant(g).mean(1) for g in ('global', 'sie_moved'))
    torch.manual_seed(0)
    source, target = task.expander(y[6:]).double(), task.expander(moved).double()
    predicted = task.predictor.double()(source, task.condition(views).double())
    task.predictor.float()

    def hinge(z):
        return F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() / 2

    def off(z):
        c = torch.cov(z.T)
        return (c - torch.diag(c.diagonal())).square().sum() / z.shape[1]

    want = 4.5 * F.mse_loss(predicted, target)
    want = want + 10 * (hinge(source) + hinge(target) + hinge(predicted)) + off(source) + off(target)
    assert task.loss(step)[0].item() == pytest.approx(want.item(), rel=1e-4)


def test_crop_difference_by_hand():
    first = torch.tensor([[10.0, 20, 40, 50, 0]])
    assert torch.equal(crop_difference(first, first), torch.zeros(1, 4))
    second = torch.tensor([[20.0, 20, 80, 100, 1]])  # center from (30, 45) to (60, 70), sides doubled
    assert crop_difference(first, second)[0].tolist() == pytest.approx([30 / 40, 25 / 50, math.log(2), math.log(2)])


def test_augself_is_zero_when_the_readouts_know_the_parameters():
    from eqssl.models.auxiliary.conditions import view_differences

    model = build_model(with_tasks('simclr', 'augself'))
    task = model.auxiliary['augself']
    views = model.data_preprocessor(data('simclr'), True)['views']
    step = model.encode(views)
    for field in ('crop', 'color', 'blur'):
        truth = view_differences(views, 'global', 0, 1, (field,))
        task.readout[field].forward = lambda x, truth=truth: truth
    flips = view_differences(views, 'global', 0, 1, ('flip',))[:, 0] != 0
    task.readout['flip'].forward = lambda x: 100 * F.one_hot(flips.long(), 2).float()
    value, monitors = task.loss(step)
    assert value < 1e-6 and monitors['flip_accuracy'] == 1 and monitors['crop_unexplained'] == 0


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('task', 'change', 'message'),
    [
        ('jigsaw', dict(scale=0.5, patch=None), 'model.auxiliary.jigsaw: a cell of 2 px .* multiple of the 4 px'),
        ('jigsaw', dict(permutations=1), 'permutations=1'),
        ('rotation', dict(angles=1), 'angles=1'),
        ('rotation', dict(group='small'), "model.auxiliary.rotation.group='small' is not a group"),
        ('rotation', dict(label_noise=2.0), 'label_noise=2.0'),
        ('rotation_own_layers', dict(shared_stages=7), 'shared_stages=7, but the backbone has 2 stages'),
        ('rotation_own_layers', dict(features='projector'), "shared_stages needs features='backbone'"),
        ('topk', dict(share=1.5), 'share=1.5 of the batch .* k cannot exceed the batch'),
        ('cross', dict(target='v3'), "target='v3'"),
        ('sie', dict(path=dict(type='eqssl.Rotation', degrees=400)), 'degrees=400'),
        ('augself', dict(fields=('crop', 'hue')), 'fields='),
    ],
)
def test_a_task_that_does_not_fit_names_the_key(task, change, message):
    config = with_tasks('simclr', task)
    config['auxiliary'][task].update(change)
    with pytest.raises(UserError, match=message):
        total_loss(build_model(config), data('simclr'))


@pytest.mark.parametrize('task', ['recon', 'cross', 'sie'])
def test_a_task_that_reads_equivariant_features_asks_for_a_neck(task):
    config = with_tasks('simclr', task)
    config['neck'] = None
    with pytest.raises(UserError, match=f'model.auxiliary.{task} reads equivariant features'):
        build_model(config)


@pytest.mark.parametrize('task', ['recon', 'cross'])
def test_drawing_from_a_resnet_needs_its_grid(task):
    config = base_config('simclr', 'resnet')
    config['neck'] = {**NECK, 'in_channels': 64}
    config['auxiliary'] = {task: copy.deepcopy(TASKS[task][0])}
    with pytest.raises(UserError, match=f'ResNet_CIFAR does not tell; set model.auxiliary.{task}.decoder.grid'):
        build_model(config)
    config['auxiliary'][task]['decoder'] = dict(DECODER, grid=2, image_size=16)
    loss, _ = total_loss(build_model(config), data('simclr'))
    loss.backward()
    assert torch.isfinite(loss)
