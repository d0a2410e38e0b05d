"""tools/dist_train.sh with two processes trains what tools/train.py trains with the whole batch in one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.dist
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PATH': f'{os.path.dirname(sys.executable)}:{os.environ["PATH"]}'}
CONFIGS = {
    'configs/demo/ibot_recon_objects.py': ([], 1e-5),
    'configs/bases/byol_cifar10.py': (['sync_bn=torch'], 1e-3),  # float32 through 18 batch norms
    'configs/bases/swav_cifar10.py': (
        ['sync_bn=torch', 'model.head.queue_length=32', 'model.head.queue_start_epoch=0', 'model.head.prototypes=16',
         'model.head.freeze_prototypes_iters=1'], 1e-3
    ),
}  # fmt: skip


def losses(command, config, work_dir, batch, options):
    common = ['data_root=objects', 'train_cfg.max_iters=4', 'default_hooks.logger.interval=1']
    common += [f'train_dataloader.batch_size={batch}', 'param_scheduler.0.warmup=0']
    done = subprocess.run(
        [*command, '--work-dir', str(work_dir), '--cfg-options', *common, *options],
        cwd=ROOT, env=ENV, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in (work_dir / 'log.jsonl').read_text().splitlines()]


@pytest.mark.parametrize('config', CONFIGS)
def test_two_processes_train_what_one_trains(config, tmp_path):
    options, tolerance = CONFIGS[config]
    two = losses(['bash', 'tools/dist_train.sh', config, '2'], config, tmp_path / 'two', 8, options)
    one = losses([sys.executable, 'tools/train.py', config], config, tmp_path / 'one', 16, options)
    assert [line['iter'] for line in two] == [1, 2, 3, 4]
    for a, b in zip(two, one, strict=True):
        assert a['loss'] == pytest.approx(b['loss'], rel=tolerance)
    assert two[0]['loss'] == pytest.approx(one[0]['loss'], rel=1e-5)


def test_two_processes_try_a_recipe_twice(tmp_path):
    """The second trial takes the place of the first, with all ranks."""
    config, options = 'configs/demo/ibot_recon_objects.py', ['train_dataloader.batch_size=4', 'data_root=objects']
    command = ['bash', 'tools/dist_train.sh', config, '2', '--try', '4', '--work-dir', str(tmp_path / 'run')]
    for _ in range(2):
        done = subprocess.run(
            [*command, '--cfg-options', *options], cwd=ROOT, env=ENV, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert 'tried 4 of 300 iterations' in done.stdout and 'on 2 rank(s)' in done.stdout
    assert len((tmp_path / 'run_try' / 'log.jsonl').read_text().splitlines()) == 4


@pytest.mark.parametrize('processes', ['abc', '0', '-1'])
def test_what_is_no_number_of_processes(processes):
    config = 'configs/demo/ibot_recon_objects.py'
    done = subprocess.run(
        ['bash', 'tools/dist_train.sh', config, processes], cwd=ROOT, env=ENV, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stderr.startswith(f'error: PROCESSES={processes} is no number of processes')


@pytest.mark.parametrize('kind', ['pre-training', 'downstream'])
def test_a_finished_run_leaves_the_process_group(kind, tmp_path, registered, monkeypatch):
    """A rank that exits with an open group, while another still works, aborts now and then (SIGABRT after all is done)."""
    import torch.distributed as torch_dist

    from eqssl.apps.train import run_training
    from tests.integration.test_bad_input import arguments

    with socket.create_server(('127.0.0.1', 0)) as server:
        port = str(server.getsockname()[1])
    place = dict(RANK='0', WORLD_SIZE='1', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    for key, value in place.items():
        monkeypatch.setenv(key, value)
    options = {'train_cfg.max_iters': 1, 'train_dataloader.batch_size': 2}
    if kind == 'downstream':
        pytest.importorskip('mmseg')
        config = 'configs/downstream/mmseg/upernet_demo_nuclei.py'
        options |= {'model.backbone.init_cfg': None, 'train_cfg.val_interval': 9}
    else:
        config = 'configs/demo/ibot_recon_objects.py'
        options |= {'param_scheduler.0.warmup': 0}
    seen = []
    leave = torch_dist.destroy_process_group
    monkeypatch.setattr(torch_dist, 'destroy_process_group', lambda: (seen.append(torch_dist.get_backend()), leave()))
    assert run_training(arguments(tmp_path, config=str(ROOT / config), options=options, launcher='pytorch')) == 0
    assert seen == ['gloo'] and not torch_dist.is_initialized()
