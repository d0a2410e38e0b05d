"""On a GPU the host waits for nothing in a step: neither reads nor copies, which a CPU alone does not show."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.fake_gpu import DEVICE, HostWaits, fake_batch, on_fake_gpu
from tests.helpers import BASES, base_config, batch, build_model
from tests.tasks import TASKS, data, with_tasks

pytestmark = pytest.mark.usefixtures('registered')


def waits(config, batch):
    """Of the second step: preprocessor, augmentation, losses, teacher and centers."""
    model = build_model(config)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake, views = on_fake_gpu(model, mode), fake_batch(batch)
        finite = torch.empty((), dtype=torch.bool, device=DEVICE)
        for _ in range(2):  # what is made once, is made in the first
            with HostWaits() as found:
                fake.loss(fake.data_preprocessor(views, True)['views'])
                fake.after_step(finite)
    return found.found


@pytest.mark.parametrize('base', sorted(BASES))
def test_no_base_method_waits(base):
    assert not waits(base_config(base, BASES[base][2][-1]), batch(local=BASES[base][1]))


@pytest.mark.parametrize('task', sorted(TASKS))
def test_no_task_waits(task):
    assert not waits(with_tasks('simclr', task), data('simclr'))


def test_waits_are_seen():
    with FakeTensorMode() as mode:
        x = torch.empty(3, device=DEVICE)
        with HostWaits() as found:
            x + torch.tensor([1.0, 2.0, 3.0], device=DEVICE)
            x + 1.0
            torch.arange(3, device=DEVICE)
            x.copy_(mode.from_tensor(torch.ones(3)))
    assert sorted(found.found) == ['_to_copy', 'copy_'] and set(found.found.values()) == {1}
