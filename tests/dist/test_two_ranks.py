"""Invariant 2: two gloo ranks with half the batch each = one rank with the whole batch, for every base method."""

from __future__ import annotations

import pytest
import torch

from tests.dist.ranks import on_two_ranks, train
from tests.helpers import BASES, PAIRS, base_config, model_config
from tests.tasks import with_tasks

pytestmark = [pytest.mark.dist, pytest.mark.usefixtures('registered')]

CASES = {f'{base}-{backbone}': (base_config(base, backbone), BASES[base][1], 1) for base, backbone in PAIRS}
CASES |= {f'{base}-vit-accumulate': (base_config(base), BASES[base][1], 2) for base in ('swav_queue', 'simclr', 'dinov2')}
CASES['ibot_recon-vit'] = (model_config(), True, 1)
CASES['ibot_recon-vit-accumulate'] = (model_config(), True, 2)


CASES['tasks-vit'] = (with_tasks('simclr', 'rotation', 'jigsaw', 'cross', 'sie', 'equimod', 'augself'), False, 1)
SKIPS = {f'skip-{base}': (base_config(base, 'resnet'), False, 1) for base in ('byol', 'swav_queue', 'dino')}
LOCAL = base_config('dinov2')
LOCAL['head']['koleo_across_ranks'] = False
SKIPS['koleo on each rank'] = (LOCAL, True, 1)


@pytest.fixture(scope='module')
def two_ranks():
    return on_two_ranks({**CASES, **SKIPS})


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Norm of the difference over the norm, in float64."""
    a, b = a.double(), b.double()
    return float((a - b).norm() / b.norm().clamp(min=1e-12))


def flat(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([v.double().flatten() for _, v in sorted(tensors.items())])


@pytest.mark.parametrize('case', CASES)
def test_two_ranks_equal_one_rank(case, two_ranks):
    config, local, accumulate = CASES[case]
    one, (first, second) = train(config, local, 0, 1, accumulate), two_ranks[case]
    mean = [(a + b) / 2 for a, b in zip(first['losses'], second['losses'], strict=True)]
    assert mean == pytest.approx(one['losses'], rel=1e-6)
    assert first['gradient'].keys() == one['gradient'].keys()
    assert relative(flat(first['gradient']), flat(one['gradient'])) < 1e-6
    for key, value in one['state'].items():
        assert relative(first['state'][key], value) < 1e-5 or (first['state'][key] - value).abs().max() < 1e-6, key
    for key, value in first['state'].items():  # a checkpoint holds one rank's state: it must be everyone's
        assert torch.equal(value, second['state'][key]), key


def test_the_queue_was_filled_and_used(two_ranks):
    state = two_ranks['swav_queue-vit'][0]['state']
    assert state['head.queue.filled'] == 16
    assert (state['head.queue.rows'].norm(dim=-1) - 1).abs().max() < 1e-5


@pytest.mark.parametrize('case', [name for name in SKIPS if name.startswith('skip')])
def test_a_bad_image_on_one_rank_skips_the_step_on_both(case, two_ranks):
    for result in two_ranks[case]:
        assert result == {'changed': [], 'finite': False}


def test_koleo_on_each_rank_alone_is_another_loss(two_ranks):
    local, everywhere = two_ranks['koleo on each rank'], two_ranks['dinov2-vit']
    assert local[0]['losses'][0] != pytest.approx(everywhere[0]['losses'][0], rel=1e-6)
    assert torch.equal(flat(local[0]['gradient']), flat(local[1]['gradient']))
