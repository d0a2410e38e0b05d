"""tools/gpu on a CPU: the pack, and every step of run.sh in small, as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.integration
PACK = [sys.executable, str(ROOT / 'tools/gpu/pack.py')]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """1000 images for each split, as tools/data/fetch.py leaves CIFAR-10."""
    folder = tmp_path_factory.mktemp('cifar')
    rng = np.random.default_rng(0)
    for split in ('train', 'test'):
        smooth = rng.integers(0, 256, (1000, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
        noisy = smooth + rng.integers(-9, 10, smooth.shape)
        np.save(folder / f'{split}_images.npy', noisy.clip(0, 255).astype(np.uint8))
        np.save(folder / f'{split}_labels.npy', np.arange(1000) % 10)
    return folder


@pytest.fixture(scope='module')
def pack(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('pack') / 'gpu'
    command = [*PACK, str(folder), '--images', '1000', '1000', '--data', str(data), '--no-wheels']
    subprocess.run(command, check=True)
    return folder


def test_the_pack_gives_back_the_same_images_and_labels(data, pack, tmp_path):
    subprocess.run([*PACK, str(pack), '--unpack', str(tmp_path / 'data')], check=True)
    for file in data.iterdir():
        assert np.array_equal(np.load(tmp_path / 'data' / file.name), np.load(file)), file.name


def test_a_folder_with_other_files_is_not_overwritten(data, tmp_path):
    (tmp_path / 'mine.txt').write_text('x')
    command = [*PACK, str(tmp_path), '--data', str(data), '--no-wheels']
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2 and 'holds other files' in found.stderr and (tmp_path / 'mine.txt').is_file()


def gpu_run(folder, pack, **settings):
    """tools/gpu/run.sh with everything it writes below a folder."""
    places = {'OUT': folder / 'out', 'WORK': folder / 'work', 'PACK': pack, 'PYTHON': sys.executable}
    environment = {**os.environ, **{k: str(v) for k, v in (places | settings).items()}}
    command = ['bash', str(ROOT / 'tools/gpu/run.sh')]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_step_of_the_gpu_run_works_on_a_cpu(pack, tmp_path):
    bases = 'bases/byol_cifar10.py demo/simclr_recon_cifar10.py'
    config = 'eqssl/simclr_recon_narrow_cifar10_100e'
    run = gpu_run(tmp_path, pack, DEVICE='cpu', STEPS=2, BASES=bases, TRAININGS=config)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    out = tmp_path / 'out'
    names = ('correctness', 'throughput', 'trainings')
    files = [f'{name}.{kind}' for name in names for kind in ('jsonl', 'txt')]
    assert sorted(f.name for f in out.iterdir()) == sorted([*files, 'kernels.txt', 'summary.txt'])
    rows = {name: [json.loads(line) for line in (out / f'{name}.jsonl').read_text().splitlines()] for name in names}
    assert [row['right'] for row in rows['correctness']] == [True, True]
    assert all(row['differences']['fp32'] == 0 and row['host reads in bf16'] == 0 for row in rows['correctness'])
    speeds = [row for row in rows['throughput'] if 'config' in row]
    assert {row['how'] for row in speeds} == {'as it is', 'official layout'} and not any('error' in r for r in speeds)
    assert all(row['images_per_s'] > 0 for row in speeds)
    kernels = (out / 'kernels.txt').read_text()
    assert 'ibot_vits, as it is, two steps' in kernels and 'aten::addmm' in kernels
    training = rows['trainings'][0]
    assert training['exit_code'] == 0 and training['log']['iter'] == 2 and training['evaluation']['iter'] == 2
    assert 'right  configs/bases/byol_cifar10.py' in (out / 'summary.txt').read_text()


def test_a_wrong_device_is_told_and_the_later_steps_run_all_the_same(pack, tmp_path):
    run = gpu_run(tmp_path, pack, DEVICE='nowhere', STEPS=1, BASES='bases/byol_cifar10.py', TRAININGS='eqssl/nothing')
    assert run.returncode == 1
    for name in ('correctness', 'throughput', 'trainings'):
        assert f'== {name} ended with an error' in run.stdout, run.stdout[-2000:]
    assert run.stdout.count("error: --device nowhere: not here; 'cpu'") == 2 and 'Traceback' not in run.stdout
