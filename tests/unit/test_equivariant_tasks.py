"""Cross-attention, adaptive top-k, SIE and its baselines: references and analytic cases."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from eqssl.models.auxiliary.adaptive_topk import most_similar
from eqssl.models.auxiliary.conditions import canonical, crop_difference, rotation_quaternion
from eqssl.models.auxiliary.cross_attention import cross_attend
from eqssl.models.auxiliary.sie import HyperPredictor
from eqssl.utils.counters import counted
from eqssl.utils.errors import UserError
from eqssl.utils.progress import Progress
from eqssl.utils.schedule import Schedule
from tests.helpers import build_model
from tests.tasks import data, with_tasks

pytestmark = pytest.mark.usefixtures('registered')


# -- cross-attention -------------------------------------------------------------------------------------------------


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


def test_with_a_path_the_second_crop_is_moved_and_drawn():
    config = with_tasks('simclr', 'cross')
    still = build_model(config).data_preprocessor(data('simclr'), True)['views']
    config['auxiliary']['cross']['path'] = dict(type='eqssl.Rotation', padding='reflect')
    model = build_model(config)
    task, moved = model.auxiliary['cross'], model.data_preprocessor(data('simclr'), True)['views']
    torch.testing.assert_close(moved.view('global', 0), still.view('global', 0), rtol=0, atol=0)
    theta, normalize = moved.params['theta/cross'], model.data_preprocessor.normalize
    zero = normalize(torch.zeros(1, 3, 1, 1)), normalize(torch.ones(1, 3, 1, 1))
    # g acts before normalization
    u = (still.view('global', 1) - zero[0]) / (zero[1] - zero[0])
    torch.testing.assert_close(moved.view('global', 1), normalize(task.path.apply(u, theta, 1.0)), rtol=1e-4, atol=1e-4)
    assert theta.abs().min() > 0 and set(moved.crops) == set(still.crops)
    task.reconstruct = lambda _: moved.view('global', 1)[None]
    assert task.loss(model.encode(moved))[0] == 0


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


# -- top-k -----------------------------------------------------------------------------------------------------------


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
    task.strength = Schedule(0.0)
    with counted() as counts:
        out = model.loss(views)
    assert out['loss_topk'] == 0 and out['topk_rescued'] == 0 and counts['backbone_calls'] == 2


def test_topk_task_owns_its_schedules_and_the_hook_draws_what_was_picked(tmp_path):
    from eqssl.engine import AdaptiveTopKHook

    config = with_tasks('byol', 'topk')
    config['auxiliary']['topk'].update(
        strength=dict(start=1, begin=2, warmup=4, unit='iter'),
        share=dict(start=0.5, end=1.0, shape='linear', unit='iter'),
    )
    model = build_model(config)
    hook = AdaptiveTopKHook(picture_interval=4)
    run = SimpleNamespace(bare_model=model, work_dir=str(tmp_path), train_loop=SimpleNamespace(iters_per_epoch=1))
    seen = []
    for iteration in range(8):
        run.iter = iteration
        hook.before_train_iter(run, iteration)
        model.progress = Progress(iteration, max_iters=8)
        views = model.data_preprocessor(data('byol', 6 * iteration), True)['views']
        seen.append(6 * model.loss(views)['topk_rescued'].item())
        hook.after_train_iter(run, iteration)
    share = [3, 3, 4, 4, 4, 5, 5, 6]  # of 6 images, round(3 + 3 i / 8)
    strength = [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert seen == pytest.approx([k * s for k, s in zip(share, strength, strict=True)])
    assert sorted(p.name for p in (tmp_path / 'topk').iterdir()) == ['iter_4.png', 'iter_8.png']
    with pytest.raises(UserError, match="task='easy' is not under model.auxiliary"):
        AdaptiveTopKHook(task='easy').before_train_iter(run, 0)
    with pytest.raises(UserError, match='start=10 is a schedule of the task: model.auxiliary.topk='):
        AdaptiveTopKHook(start=10)


# -- SIE and baselines -----------------------------------------------------------------------------------------------


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
