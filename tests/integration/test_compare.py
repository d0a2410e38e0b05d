"""tools/analysis/compare.py: several configs and seeds in one table; finished runs are not repeated."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from tests.conftest import ROOT

pytestmark = pytest.mark.integration


def test_runs_are_compared_and_not_repeated(tmp_path):
    config = tmp_path / 'tiny.py'
    config.write_text(
        f"""_base_ = ['{ROOT}/configs/bases/simclr_cifar10.py']
data_root = 'objects'
model = dict(backbone=dict(stem_channels=8, base_channels=8))
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_iters=2)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', by_epoch=False)]
evaluation = dict(limits=dict(train=40, test=20))
default_hooks = dict(evaluation=dict(type='eqssl.EvaluationHook', interval=1, by_epoch=False))
"""
    )
    command = [sys.executable, 'tools/analysis/compare.py', str(config), '--seeds', '0', '1']
    command += ['--work-dir', str(tmp_path / 'runs'), '--curves', 'knn_top1']

    def run():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    first = run()
    assert '== tiny, seed 0' in first and '== tiny, seed 1' in first
    rows = json.loads((tmp_path / 'runs/table.json').read_text())
    assert [row[''] for row in rows] == ['raw pixels', 'random ResNet_CIFAR', 'tiny']
    assert all('+-' in row['kNN top-1'] for row in rows)
    results = [json.loads((tmp_path / f'runs/tiny_seed{s}/results.json').read_text()) for s in (0, 1)]
    assert results[0] != results[1] and 'minutes' in results[0]
    second = run()
    assert '== tiny' not in second and second.splitlines()[-3:] == first.splitlines()[-3:]
    assert Image.open(tmp_path / 'runs/curves.png').size[0] > 400
