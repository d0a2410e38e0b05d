"""Real training, run by hand: ``make slow`` (about half an hour on two cores)."""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest

from eqssl.evaluation.summary import paired_gain, read_results
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def test_recon_beats_ibot_alone_over_three_seeds_by_more_than_the_spread(tmp_path):
    for seed in (0, 1, 2):
        command = [
            sys.executable,
            str(ROOT / 'tools/demo.py'),
            '--data',
            'cifar10',
            '--seed',
            str(seed),
            '--train-base',
        ]
        subprocess.run(command, cwd=tmp_path, check=True)
    results = read_results([tmp_path / f'work_dirs/demo_cifar10_seed{seed}' for seed in (0, 1, 2)])
    for key in ('r2/rotation/all/mlp', 'r2/mean/all/mlp'):
        gains = paired_gain(results, 'iBOT + recon', 'iBOT alone', key)
        spread = statistics.stdev(r['iBOT alone'][key] for r in results)
        assert min(gains) > 0 and statistics.mean(gains) > spread, (key, gains, spread)
    gains = paired_gain(results, 'iBOT + recon', 'iBOT alone', 'knn_top1')
    assert sum(gains) / 3 > -0.005


@pytest.mark.parametrize(('workers', 'ranks', 'name'), [(0, 1, 'KILL'), (2, 1, 'KILL'), (0, 2, 'KILL'), (2, 1, 'TERM')])
def test_resume_drill(workers, ranks, name):
    config = str(ROOT / 'configs/demo/ibot_recon_objects.py')
    command = [sys.executable, str(ROOT / 'tools/analysis/kill_resume.py'), config, '--signal', name]
    command += ['--workers', str(workers), '--ranks', str(ranks), '--kills', '10' if ranks == 1 else '4']
    subprocess.run(command, check=True)
