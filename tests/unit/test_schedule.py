"""One value over a run: by hand, by the formulas of the methods, and refused where it makes no sense."""

from __future__ import annotations

import math

import pytest
import torch

from eqssl.engine.schedulers import CosineSchedule
from eqssl.utils.errors import UserError
from eqssl.utils.progress import Progress
from eqssl.utils.schedule import Schedule


def values(schedule, count=10, per_epoch=1):
    return [schedule(Progress(i, count, per_epoch)) for i in range(count + 1)]


@pytest.mark.parametrize(
    ('arguments', 'wanted'),
    [
        (dict(start=2), [2.0] * 11),
        (dict(start=1, end=0, shape='linear'), [1 - i / 10 for i in range(11)]),
        (dict(start=1, end=0, shape='cosine'), [0.5 * (1 + math.cos(math.pi * i / 10)) for i in range(11)]),
        (dict(start=1, end=0, shape='cosine', unit='run'), [0.5 * (1 + math.cos(math.pi * i / 10)) for i in range(11)]),
        (dict(start=4, warmup=4, warmup_start=2), [2, 2.5, 3, 3.5] + [4] * 7),
        (dict(start=4, warmup=4, warmup_start=0.5, relative=True), [2, 2.5, 3, 3.5] + [4] * 7),
        (dict(start=1, begin=2, before=9, warmup=2), [9, 9, 0, 0.5] + [1] * 7),
        (dict(start=1, end=3, shape='linear', begin=2, warmup=2, length=8), [0, 0, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3, 3]),
        (
            dict(start=1, end=3, shape='linear', warmup=0.2, warmup_start=1, unit='run'),
            [1, 1, *(1 + i / 4 for i in range(9))],
        ),
    ],
)
def test_by_hand(arguments, wanted):
    assert values(Schedule(**arguments)) == pytest.approx(wanted)


def test_epochs_and_iterations_are_units():
    by_epoch, by_iter = Schedule(1, begin=2, unit='epoch'), Schedule(1, begin=2, unit='iter')
    assert values(by_epoch, 8, 4) == [0] * 8 + [1] and values(by_iter, 8, 4) == [0, 0] + [1] * 7
    line = Schedule(0, 1, 'linear', unit='epoch')
    assert values(line, 8, 4) == pytest.approx([i / 8 for i in range(9)]), 'to the end of the run in any unit'


@pytest.mark.parametrize('scale', [1.0, 0.3])
@pytest.mark.parametrize('shape', ['cosine', 'linear', 'constant'])
def test_the_learning_rate_is_a_schedule(shape, scale):
    optimizer = torch.optim.SGD([{'params': [torch.zeros(1, requires_grad=True)], 'lr': 0.5, 'lr_scale': scale}], 0.5)
    found = CosineSchedule(
        optimizer, final=0.1, warmup=2, warmup_start=0.2, by_epoch=True, end=4, epoch_length=3, shape=shape
    )
    seen = []
    for _ in range(14):
        seen.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        found.step()
    end, rest = scale * 0.1, [min(1.0, (i - 6) / 6) for i in range(6, 14)]
    course = {
        'cosine': [end + (0.5 - end) * 0.5 * (1 + math.cos(math.pi * x)) for x in rest],
        'linear': [0.5 + (end - 0.5) * x for x in rest],
        'constant': [0.5] * 8,
    }[shape]
    assert seen == pytest.approx([0.5 * (0.2 + 0.8 * i / 6) for i in range(6)] + course)


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ('x', "weight='x' is neither a number nor a schedule"),
        (True, 'weight=True is neither'),
        (dict(start=1, shap='cosine'), r"weight.shap is unknown \(did you mean 'shape'\?\)"),
        (dict(shape='linear', end=1), 'weight is a schedule without start'),
        (dict(start='1'), "weight.start='1' is no number"),
        (dict(start=math.nan), 'weight.start=nan is no number'),
        (dict(start=True), 'weight.start=True is no number'),
        (dict(start=1, length=-5), 'weight.length=-5 is negative'),
        (dict(start=1, unit='run', begin=3), 'are not shorter than length=1'),
        (dict(start=1, unit='run', length=2), 'length=2 is beyond the run'),
        (dict(type='eqssl.Nothing', start=1), "weight: type='eqssl.Nothing' is not registered"),
        (dict(start=1, shape='step'), "weight.shape='step' is none of constant, linear, cosine"),
        (dict(start=1, unit='steps'), "weight.unit='steps' is none of epoch, iter, run"),
        (dict(start=1, end=2), 'weight.end=2 needs shape='),
        (dict(start=1, warmup=-1), 'weight.warmup=-1 is negative'),
        (dict(start=1, warmup=5, length=4), 'weight.begin=0.0 and warmup=5 are not shorter than length=4'),
    ],
)
def test_what_makes_no_sense_is_told_with_its_key(value, message):
    with pytest.raises(UserError, match=message):
        Schedule.of(value, 'weight')


def test_defaults_give_way_to_the_config():
    assert values(Schedule(0.9, begin=2, before=None))[0] == 0.9
    ema = dict(end=1.0, shape='cosine', unit='run')
    assert Schedule.of(0.9, 'momentum', **ema)(Progress(10, 10)) == 1.0
    assert Schedule.of(dict(start=0.9, end=0.99), 'momentum', **ema)(Progress(10, 10)) == pytest.approx(0.99)
    assert Schedule.of(dict(start=0.9, shape='constant'), 'momentum', **ema)(Progress(10, 10)) == 0.9
    assert set(Schedule.of(dict(start=1, begin=2, warmup=3, end=4, shape='linear'), 'w').values) == {1, 4, 0.0}
