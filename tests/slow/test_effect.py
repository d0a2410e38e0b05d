"""Real training, run by hand: ``make slow`` (about half an hour on two cores)."""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest

from eqssl.apps.seeds import read_results
from eqssl.utils.spread import paired_gain
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def test_recon_beats_its_base_and_both_beat_the_controls_over_three_seeds(tmp_path):
    for seed in (0, 1, 2):
        command = [sys.executable, str(ROOT / 'tools/demo.py'), '--seed', str(seed), '--train-base']
        subprocess.run(command, cwd=tmp_path, check=True)
    results = read_results([tmp_path / f'work_dirs/demo_simclr_photos_seed{seed}' for seed in (0, 1, 2)])
    controls = ('raw pixels', 'random init')
    for network in ('SimCLR alone', 'SimCLR + recon'):
        for control in controls:
            assert min(paired_gain(results, network, control, 'knn_top1')) > 0.1
    for key in ('r2/color/all/mlp', 'r2/mean/all/mlp'):
        gains = paired_gain(results, 'SimCLR + recon', 'SimCLR alone', key)
        spread = statistics.stdev(r['SimCLR alone'][key] for r in results)
        assert min(gains) > 0 and statistics.mean(gains) > spread, (key, gains, spread)
    assert statistics.mean(paired_gain(results, 'SimCLR + recon', 'SimCLR alone', 'knn_top1')) > -0.01


@pytest.mark.parametrize(('workers', 'ranks', 'name'), [(0, 1, 'KILL'), (2, 1, 'KILL'), (0, 2, 'KILL'), (2, 1, 'TERM')])
def test_resume_drill(workers, ranks, name):
    config = str(ROOT / 'configs/demo/ibot_recon_objects.py')
    command = [sys.executable, str(ROOT / 'tools/analysis/kill_resume.py'), config, '--signal', name]
    command += ['--workers', str(workers), '--ranks', str(ranks), '--kills', '10' if ranks == 1 else '4']
    subprocess.run(command, check=True)
