"""Killed, interrupted and resumed runs equal uninterrupted ones bit for bit (the whole drill: tools/analysis)."""

from __future__ import annotations

import signal

import pytest

from eqssl.apps.drill import Job, interrupted_run, outcome
from tests.conftest import ROOT

pytestmark = pytest.mark.integration
COMMON = ['train_cfg.max_iters=14', 'train_dataloader.batch_size=8', 'default_hooks.checkpoint.interval=3']
CASES = {
    'centers, drop path': (
        'configs/demo/ibot_recon_objects.py',
        ['model.backbone.drop_path_rate=0.2', 'model.backbone.drop_rate=0.1', 'param_scheduler.0.warmup=3'],
    ),
    'queue, batch norm, accumulation': (
        'configs/bases/swav_cifar10.py',
        ['data_root=objects', 'model.head.queue_length=32', 'model.head.queue_start_epoch=0',
         'param_scheduler.0.warmup=3',
         'model.head.prototypes=16', 'model.head.freeze_prototypes_iters=4', 'optim_wrapper.accumulative_counts=2',
         'default_hooks.checkpoint.by_epoch=False'],
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.replace(', ', '_').replace(' ', '_'))
def test_kill_and_sigterm_then_resume_equals_uninterrupted_with_other_worker_count(case, tmp_path):
    config, options = CASES[case]

    def job(workers: int) -> Job:
        return Job(str(ROOT / config), [*COMMON, *options, f'train_dataloader.num_workers={workers}'])

    assert job(0).finish(tmp_path / 'whole', False) == 0
    whole = outcome(tmp_path / 'whole')
    assert sorted(whole.losses) == list(range(1, 15))
    killed = interrupted_run(job(2), tmp_path / 'killed', [5], signal.SIGKILL)
    assert killed.interruptions and whole.differences(killed) == 0 and whole.state == killed.state
    stopped = interrupted_run(job(2), tmp_path / 'stopped', [4], signal.SIGTERM)
    assert stopped.interruptions and whole.differences(stopped) == 0 and whole.state == stopped.state
