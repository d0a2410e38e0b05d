"""Fine-tuning runs of the downstream tests: the demo's checkpoint, the tool as a process, what it logged."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from eqssl.apps.open_config import open_config
from eqssl.apps.process import train_process
from eqssl.registry import MODELS
from tests.conftest import ROOT

ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}


DEMO = ROOT / 'configs/demo/ibot_recon_objects.py'
SHORT = ['train_cfg.max_iters=2', 'param_scheduler.0.warmup=1', 'train_dataloader.batch_size=8']


@pytest.fixture(scope='session')
def demo_checkpoint(tmp_path_factory, registered):
    """What the demo's training writes, after two iterations."""
    folder = tmp_path_factory.mktemp('demo')
    return train_process(DEMO, folder, SHORT)


@pytest.fixture(scope='session')
def pretrained(demo_checkpoint):
    """The model of that checkpoint."""
    model = MODELS.build(open_config(str(DEMO)).model)
    model.load_state_dict(torch.load(demo_checkpoint, weights_only=True)['state_dict'])
    return model.eval()


@pytest.fixture(scope='session')
def finetune():
    """Runs a training tool with options in a work dir."""

    def run(command, work_dir, *options):
        return subprocess.run(
            [*command, '--work-dir', str(work_dir), '--cfg-options', *options],
            cwd=ROOT, env=ENV, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope='session')
def logged():
    """The lines of the one log in a work dir."""

    def read(work_dir):
        (log,) = work_dir.glob('*/vis_data/scalars.json')
        return [json.loads(line) for line in log.read_text().splitlines()]

    return read
