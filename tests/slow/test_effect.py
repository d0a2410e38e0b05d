"""Real training, run by hand: ``make slow`` (about half an hour on two cores)."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

from eqssl.experiment import read_experiments
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def test_recon_beats_its_base_and_both_beat_the_controls_over_three_seeds(tmp_path):
    for seed in (0, 1, 2):
        command = [sys.executable, str(ROOT / 'tools/demo.py'), '--seed', str(seed), '--train-base']
        subprocess.run(command, cwd=tmp_path, check=True)
    runs = {
        name: [read_experiments(tmp_path / f'work_dirs/demo/{config}_seed{seed}')[0] for seed in (0, 1, 2)]
        for name, config in (('ours', 'simclr_recon_photos'), ('base', 'simclr_photos'))
    }
    rows = {name: [run.values for run in found] for name, found in runs.items()}
    controls = list(tmp_path.glob('work_dirs/demo/controls_*.json'))
    rows |= {
        name: [json.loads(f.read_text())[name] for f in sorted(controls)] for name in ('raw pixels', 'random init')
    }

    def gains(ours, base, key):
        return [a[key] - b[key] for a, b in zip(rows[ours], rows[base], strict=True)]

    for network in ('base', 'ours'):
        for control in ('raw pixels', 'random init'):
            assert min(gains(network, control, 'knn_top1')) > 0.1
    for key in ('r2/color/all/mlp', 'r2/mean/all/mlp'):
        found, spread = gains('ours', 'base', key), statistics.stdev(run[key] for run in rows['base'])
        assert min(found) > 0 and statistics.mean(found) > spread, (key, found, spread)
    assert statistics.mean(gains('ours', 'base', 'knn_top1')) > -0.01


@pytest.mark.parametrize(('workers', 'ranks', 'name'), [(0, 1, 'KILL'), (2, 1, 'KILL'), (0, 2, 'KILL'), (2, 1, 'TERM')])
def test_resume_drill(workers, ranks, name):
    config = str(ROOT / 'configs/demo/ibot_recon_objects.py')
    command = [sys.executable, str(ROOT / 'tools/analysis/kill_resume.py'), config, '--signal', name]
    command += ['--workers', str(workers), '--ranks', str(ranks), '--kills', '10' if ranks == 1 else '4']
    subprocess.run(command, check=True)
