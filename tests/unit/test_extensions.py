"""What a stranger adds: one class and one config line, by the guide (docs/en/user_guides/extend.md) alone."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eqssl.engine import OptimWrapper
from eqssl.evaluation import Evaluation, EvaluationTask
from eqssl.evaluation.task import as_task
from eqssl.models.auxiliary import AuxiliaryTask
from eqssl.models.heads import TwoViewHead
from eqssl.models.layers import StepState
from eqssl.models.necks import Neck
from eqssl.registry import DATASETS, EVALUATION_TASKS, FUNCTIONS, MODELS
from eqssl.utils.errors import UserError
from eqssl.utils.progress import Progress
from eqssl.utils.schedule import Schedule
from tests.helpers import base_config, batch, build_model, total_loss
from tests.tasks import data, with_tasks

pytestmark = pytest.mark.usefixtures('registered')


class RunningMean(StepState, nn.Module):
    """The mean embedding of all former steps, and how many steps there were."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(width))
        self.register_buffer('steps', torch.zeros(()))
        self.register_buffer('seen', torch.zeros(width + 1))

    def add(self, x: Tensor) -> None:
        self.seen[:-1] += x.detach().sum(0)
        self.seen[-1] += len(x)

    def pending_sum(self):
        return self.seen

    def advance(self, total):
        return [(self.mean, 0.5 * self.mean + 0.5 * total[:-1] / total[-1]), (self.steps, self.steps + 1)]


@FUNCTIONS.register_module(force=True)
class ToyNothing:
    """No schedule."""


@FUNCTIONS.register_module(force=True)
@dataclass(frozen=True)
class ToyStairs(Schedule):
    """Half of ``start`` in every second epoch."""

    def __call__(self, progress):
        return self.start / (1 + int(progress.epoch) % 2)


@MODELS.register_module(force=True)
class ToyHead(TwoViewHead):
    """Draws two views together, away from where embeddings were on average."""

    def __init__(self, in_channels: int, out_dim: int = 6) -> None:
        super().__init__()
        self.in_channels, self.out_dim = in_channels, out_dim
        self.projector = nn.Linear(in_channels, out_dim)
        self.usual = RunningMean(out_dim)

    def compare(self, projections, targets, views):
        self.usual.add(projections.flatten(0, 1))
        error = (projections[0] - projections[1]).square().mean()
        return {'loss_toy': error - (projections - self.usual.mean).square().mean()}, {'agreement': -error}


@MODELS.register_module(force=True)
class ToyNeck(Neck):
    """Every second feature is equivariant."""

    def __init__(self, in_channels):
        super().__init__()
        self.in_channels, self.equi_dims = in_channels, in_channels // 2
        self.inv_dims = in_channels - self.equi_dims

    def invariant(self, x):
        return x[..., ::2]

    def equivariant(self, patch, blocks, head):
        return patch[..., 1::2]


@MODELS.register_module(force=True)
class ToyTask(AuxiliaryTask):
    """Asks for the mean color of the first crop."""

    def setup(self, name, info):
        super().setup(name, info)
        self.readout = nn.Linear(info.embed_dims, 3)

    def loss(self, step):
        color = step.views.view('global', 0).mean((2, 3))
        return (self.readout(step.tokens['global'].cls[: len(color)]) - color).square().mean(), {}


@EVALUATION_TASKS.register_module(force=True)
class ToyMeasure(EvaluationTask):
    """Mean length of the features."""

    pixels = 'pixels'

    def __init__(self, part: str = 'cls') -> None:
        self.part = part

    def __call__(self, store):
        return {'length': float(store.features('test', self.part).norm(dim=1).mean())}


@EVALUATION_TASKS.register_module(force=True)
def toy_count():
    """A factory of a bare callable."""
    return lambda store: {'count': float(len(store.features('train', 'cls')))}


@DATASETS.register_module(force=True)
class ToySource:
    """Noise of a given brightness."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self):
        return self.count

    def load(self, index):
        return np.random.default_rng(index).integers(0, 256, (24, 24, 3), dtype=np.uint8)

    def label(self, index):
        return -1

    def name(self, index):
        return f'noise {index}'


def toy_model():
    config = {
        **base_config('simclr'),
        'head': {'type': 'eqssl.ToyHead'},
        'auxiliary': {'color': {'type': 'eqssl.ToyTask'}},
    }
    return build_model(config)


def trained(passes, accumulate, poison=False):
    """A model after one optimizer step on the images of ``passes`` batches, and its losses."""
    model = toy_model()
    optimizer = torch.optim.SGD(model.parameters(), 0.0, fused=True)
    wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=1.0), accumulative_counts=accumulate)
    wrapper.initialize_count_status(model, 0, 4)
    for images in passes:
        losses = model.loss(model.data_preprocessor(images, True)['views'])
        total, _ = model.parse_losses(losses)
        wrapper.update_params(total * torch.nan if poison else total)
    model.after_step(wrapper.finite)
    return model, losses


def test_a_head_with_state_and_a_task_train():
    model, losses = trained([batch(local=False, masks=False)], 1)
    assert {'loss_toy', 'loss_color', 'agreement'} <= set(losses)
    assert 'head.usual.mean' in model.state_dict() and model.head.usual.steps == 1


def test_the_state_is_right_under_accumulation_and_a_skipped_step():
    whole, _ = trained([batch(8, local=False, masks=False)], 1)
    halves, _ = trained([batch(4, start, local=False, masks=False) for start in (0, 4)], 2)
    assert whole.head.usual.mean.abs().max() > 0.01
    torch.testing.assert_close(halves.head.usual.mean, whole.head.usual.mean)
    assert halves.head.usual.steps == 1 and halves.head.usual.seen.abs().max() == 0
    skipped, _ = trained([batch(8, local=False, masks=False)], 1, poison=True)
    assert skipped.head.usual.mean.abs().max() == 0 and skipped.head.usual.steps == 0
    assert skipped.head.usual.seen.abs().max() == 0


def test_an_evaluation_task_a_bare_callable_and_a_source_measure_networks_and_controls():
    sources = {'train': {'type': 'eqssl.ToySource', 'count': 12}, 'test': {'type': 'eqssl.ToySource', 'count': 6}}
    tasks = {'length': {'type': 'eqssl.ToyMeasure'}, 'count': {'type': 'eqssl.toy_count'}}
    evaluation = Evaluation.from_settings({**sources, 'size': 16, 'tasks': copy.deepcopy(tasks)})
    evaluation.check()
    model = toy_model().eval()
    found = evaluation.run(model)
    assert found['count'] == 12 and found['length'] > 0
    for almost in (type('Almost', (), {'pixels': None, '__call__': None})(), 3):
        with pytest.raises(UserError, match=r'evaluation.tasks.mine: \w+ must subclass'):
            as_task('mine', almost)
    controls = evaluation.pixels(model)
    assert set(controls) == {'length'} and controls['length'] != found['length']


def test_a_schedule_drives_a_weight_a_momentum_and_a_temperature():
    stairs = dict(type='eqssl.ToyStairs', start=0.5)
    config = base_config('dino')
    config['head'].update(momentum=stairs, teacher_temp=stairs, out_dim=8)
    config['auxiliary'] = {'color': {'type': 'eqssl.ToyTask', 'weight': stairs}}
    model = build_model(config)
    found = []
    for iteration in (0, 1, 2):
        model.progress = Progress(iteration, max_iters=3)
        loss = model.loss(model.data_preprocessor(batch(masks=False), True)['views'])['loss_color'].item()
        found.append((loss, model.head.ema()(model.progress), model.head.temperature('cls', model.progress)))
    assert [x[1:] for x in found] == [(0.5, 0.5), (0.25, 0.25), (0.5, 0.5)]
    assert found[0][0] == pytest.approx(2 * found[1][0]) and found[0][0] > 0
    config['head']['momentum'] = dict(type='eqssl.ToyNothing')
    with pytest.raises(UserError, match="model.head.momentum: type='eqssl.ToyNothing' is no"):
        build_model(config)


def test_a_neck_feeds_the_head_and_the_tasks():
    config = with_tasks('simclr', 'recon')
    config['neck'] = dict(type='eqssl.ToyNeck')
    model = build_model(config)
    width = model.backbone.embed_dims
    assert model.head.in_channels == width - width // 2 and model.neck.equi_dims == width // 2
    loss, out = total_loss(model, data('simclr'))
    loss.backward()
    assert out['loss_recon'] > 0 and model.backbone.patch_embed.projection.weight.grad.abs().sum() > 0
    config['neck'] = dict(type='eqssl.ToyNeck', in_channels=5)
    with pytest.raises(UserError, match=f'model.neck.in_channels=5, but model.backbone is {width} wide'):
        build_model(config)
