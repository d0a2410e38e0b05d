"""Every base method with every auxiliary task; what tasks add to a step; tasks that do not fit."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch

from eqssl.utils.counters import HostReads, counted
from eqssl.utils.errors import UserError
from tests.helpers import BASES, base_config, build_model, total_loss, trainer
from tests.tasks import DECODER, NECK, TASKS, data, with_tasks

pytestmark = pytest.mark.usefixtures('registered')


# -- every base x every task -----------------------------------------------------------------------------------------


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


PAIRS = list(itertools.combinations(TASKS, 2))  # every two tasks, dealt to the bases in turn


@pytest.mark.parametrize(
    ('base', 'pair'), [(list(BASES)[i % len(BASES)], pair) for i, pair in enumerate(PAIRS)], ids=str
)
def test_every_two_tasks_train_two_steps_without_host_reads_and_add_their_declared_views(base, pair):
    model, plain = build_model(with_tasks(base, *pair)), build_model(base_config(base))
    wrapper = trainer(model)
    outs = [model.train_step(data(base), wrapper)]
    with HostReads() as reads:
        outs.append(model.train_step(data(base, 6), wrapper))
    assert reads.reads == 0 and wrapper.finite
    assert all(torch.isfinite(out[f'loss_{name}']) for out in outs for name in pair)
    views, bare = (m.data_preprocessor(data(base), True)['views'] for m in (model, plain))
    assert set(views.crops) - views.extra == set(bare.crops)
    assert all(views.crops[group].shape == bare.crops[group].shape for group in bare.crops)
    assert all(any(group.startswith(name) for name in pair) for group in views.extra)


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


# -- bad input -------------------------------------------------------------------------------------------------------


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
