"""eqssl compare: several configs and seeds in one table; finished runs are not repeated."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from tests.conftest import ROOT

pytestmark = pytest.mark.integration


def write_config(folder):
    config = folder / 'tiny.py'
    config.write_text(
        f"""_base_ = ['{ROOT}/configs/bases/simclr_cifar10.py']
data_root = 'objects'
model = dict(backbone=dict(stem_channels=8, base_channels=8))
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_iters=2)
param_scheduler = [dict(type='eqssl.CosineSchedule', param_name='lr', by_epoch=False)]
evaluation = dict(limits=dict(train=40, test=20), tasks=dict(equivariance=dict(train=20, test=10)))
"""
    )
    return config


def compare(config, *options):
    command = [sys.executable, 'tools/analysis/compare.py', str(config), *[o for o in options if o.startswith('/')]]
    command += ['--seeds', '0', '1', '--interval', '1', '--work-dir', str(config.parent / 'runs')]
    command += ['--curves', 'knn_top1', '--pairs', 'tiny=tiny', *[o for o in options if not o.startswith('/')]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_runs_are_compared_and_not_repeated(tmp_path):
    config = write_config(tmp_path)
    first = compare(config)
    assert first.returncode == 0, first.stderr[-2000:]
    assert '== tiny, seed 0' in first.stdout and '== tiny, seed 1' in first.stdout
    rows = json.loads((tmp_path / 'runs/table.json').read_text())
    assert [row[''] for row in rows] == ['raw pixels', 'random init', 'tiny', 'tiny - tiny']
    assert (
        all(row['runs'] == 2 for row in rows)
        and list(rows[2])[2] == 'kNN top-1'
        and 'R2 rotation (cls, ridge)' in rows[2]
    )
    assert rows[-1]['kNN top-1'] == '0.000 +- 0.000'
    assert all('+-' in row['kNN top-1'] for row in rows)
    records = [json.loads((tmp_path / f'runs/tiny_seed{s}/experiment.json').read_text()) for s in (0, 1)]
    results = [record['trained'] for record in records]
    assert results[0] != results[1] and results[0]['iter'] == 2
    header = records[1]['experiment']
    assert (header['kind'], header['seed'], header['batch'], header['cost']['images']) == ('pre-training', 1, 16, 32)
    assert header['cost']['minutes'] > 0 and header['data']['images'] > 60 and len(header['data']['fingerprint']) == 16
    assert header['config']['fingerprint'] == records[0]['experiment']['config']['fingerprint']
    assert header['versions']['torch'] and header['hardware']['ranks'] == 1
    lines = (tmp_path / 'runs/tiny_seed0/evaluation.jsonl').read_text().splitlines()
    assert [json.loads(line)['iter'] for line in lines] == [1, 2]
    second = compare(config)
    assert '== tiny' not in second.stdout and second.stdout.splitlines()[-4:] == first.stdout.splitlines()[-4:]
    assert Image.open(tmp_path / 'runs/curves.png').size[0] > 400

    (tmp_path / 'runs/tiny_seed0/experiment.json').rename(tmp_path / 'experiment.json')
    adopted = compare(config)
    assert adopted.returncode == 2 and "tiny_seed0' holds a run with other settings" in adopted.stderr
    (tmp_path / 'experiment.json').rename(tmp_path / 'runs/tiny_seed0/experiment.json')
    command = [sys.executable, '-m', 'eqssl', 'compare', f'{tmp_path}/runs/tiny_seed*', '--measures', 'knn_top1']
    read = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert read[-1].split()[:3] == ['tiny', '2', rows[2]['kNN top-1'].split()[0]], 'work dirs give the same table'
    assert "--pairs: 'tiny' is not of the form" in compare(config, '--pairs', 'tiny').stderr
    named = compare(config, str(tmp_path / 'runs/tiny_seed0'))
    assert named.returncode == 2 and "'tiny' is a config and the name of what is read" in named.stderr
    unknown = compare(config, '--pairs', 'tiny=huge')
    assert unknown.returncode == 2 and '--pairs: huge is none of' in unknown.stderr
    changed = compare(config, '--cfg-options', 'optim_wrapper.optimizer.lr=0.01')
    (line,) = [x for x in changed.stderr.splitlines() if x.startswith('error')]
    assert changed.returncode == 2 and 'tiny_seed0' in line and 'other settings' in line


def test_a_comparison_stops_where_a_training_fails(tmp_path):
    failed = compare(write_config(tmp_path), '--cfg-options', 'param_scheduler.0.warmup=50')
    assert failed.returncode == 2 and 'training failed; the command was' in failed.stderr
    assert 'param_scheduler: warmup=50' in failed.stderr and not (tmp_path / 'runs/table.json').exists()
