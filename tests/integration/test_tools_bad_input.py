"""Each tool, started as a user does, with each kind of bad input: one line, exit code 2, nothing half-written."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, write_images
from tests.integration.runs import train

pytestmark = pytest.mark.integration
TOOLS = {
    'train': ['tools/train.py', 'CONFIG', '--work-dir', 'OUT'],
    'check': ['tools/train.py', 'CONFIG', '--work-dir', 'OUT', '--check', '2'],
    'evaluate': ['tools/evaluate.py', 'CONFIG', 'CHECKPOINT', '--tasks', 'equivariance'],
    'profile': ['tools/analysis/profile_step.py', 'CONFIG'],
    'saliency': ['tools/data/saliency.py', 'CONFIG', 'CHECKPOINT', '--out', 'OUT/x.npy'],
    'compare': ['tools/analysis/compare.py', 'CONFIG', '--work-dir', 'OUT'],
    'kill_resume': ['tools/analysis/kill_resume.py', 'CONFIG'],
}
READS_DATA = ('train', 'check', 'evaluate')
FOLDER = 'train_dataloader.dataset.source.type=eqssl.ImageFolder'
KINDS = {  # options, what the line says, tools that meet it
    'no such folder': (['data_root=/nowhere (1)'], "data_root '/nowhere (1)' is not a folder", READS_DATA),
    'a folder without images': (['data_root=EMPTY'], 'holds no image', READS_DATA),
    'unknown key': (['modell.depth=3'], "config key 'modell.depth' is unknown (did you mean 'model'?)", tuple(TOOLS)),
    'no key=value': (['images'], "'images' is not of the form key=value", tuple(TOOLS)),
    'crops that are no whole patches': (
        ['train_dataloader.dataset.views.views.0.size=36', 'train_dataloader.dataset.views.views.1.size=36'],
        'views.views[0].size=36 is no multiple of model.backbone.patch_size=8; set it to 32', tuple(TOOLS),
    ),
    'a package that is missing': (
        ['WANDB'], 'visualizer.vis_backends[0]: WandbVisBackend needs the package wandb', ('train', 'check')
    ),
    'misspelt type': (['model.head.type=eqssl.IBOTHed'], "type='eqssl.IBOTHed' is not a registered type", tuple(TOOLS)),
    'mmengine initializer': (
        ['model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint=x.pth'],
        "model.backbone.init_cfg: mmengine's Pretrained", tuple(TOOLS),
    ),
    'three images': (['data_root=THREE'], "part='test' of 3 images is empty", ('evaluate',)),
}  # fmt: skip


def start(command):
    """A tool as a process."""
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope='module')
def places(tiny_config, tmp_path_factory):
    """What the words in capitals stand for."""
    folder = tmp_path_factory.mktemp('bad input')
    train(tiny_config, folder / 'run', train_cfg__max_iters=1, param_scheduler__0__warmup=0)
    (folder / 'empty').mkdir()
    backend = folder / 'wandb.py'
    backend.write_text(f"_base_ = ['{tiny_config}']\nvisualizer = dict(vis_backends=[dict(type='WandbVisBackend')])\n")
    return {
        'CONFIG': tiny_config, 'CHECKPOINT': str(folder / 'run' / 'iter_1.pth'), 'EMPTY': str(folder / 'empty'),
        'THREE': str(write_images(folder / 'three', 3)), 'OUT': str(folder / 'out'), 'WANDB': str(backend),
    }  # fmt: skip


def arguments_of(tool, places, options):
    def put(word):
        for name, value in places.items():
            word = word.replace(name, value)
        return word

    config = 'WANDB' if 'WANDB' in options else 'CONFIG'
    words = [put(word.replace('CONFIG', config)) for word in TOOLS[tool]]
    typed = [put(option) for option in options if option != 'WANDB']
    return [*words, *(['--cfg-options', *typed] if typed else [])]


@pytest.mark.parametrize('kind', KINDS, ids=lambda k: k.replace(' ', '_'))
def test_every_tool_says_it_in_one_line(kind, places, monkeypatch, capsys):
    """The tools' own scripts, in this process: each start of Python costs seconds."""
    options, message, tools = KINDS[kind]
    monkeypatch.chdir(ROOT)
    for tool in tools:
        words = arguments_of(tool, places, options)
        monkeypatch.setattr('sys.argv', words)
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(ROOT / words[0]), run_name='__main__')
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
        assert stop.value.code == 2 and len(lines) == 1 and message in lines[0], (tool, lines)
    assert not [path for path in Path(places['OUT']).rglob('*') if path.suffix in ('.pth', '.npy', '.jsonl')]


def test_a_result_that_cannot_be_written_is_told_before_the_work(places, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    for tool in ('evaluate', 'profile', 'kill_resume'):
        words = [*arguments_of(tool, places, []), '--json', str(tmp_path)]
        monkeypatch.setattr('sys.argv', words)
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(ROOT / words[0]), run_name='__main__')
        assert stop.value.code == 2 and f"--json: '{tmp_path}' is a folder" in capsys.readouterr().err


def test_the_process_of_a_tool_ends_with_code_2_and_no_traceback(places):
    command = arguments_of('evaluate', places, KINDS['three images'][0])
    done = start([sys.executable, *command])
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith('error: ')]


def test_rare_files_do_not_end_a_run(tiny_config, tmp_path):
    """Damaged, foreign and strangely named files among the images are skipped and listed, whatever they are."""
    images = write_images(tmp_path / 'images', 12)
    small = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    small.save(tmp_path / 'whole.tif')
    damaged = bytearray((tmp_path / 'whole.tif').read_bytes())
    damaged[-40:] = os.urandom(40)
    (images / 'x.tif').write_bytes(damaged[: len(damaged) // 2])
    (images / 'y.jpg').write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n')
    with open(os.fsencode(images) + b'/caf\xe9.jpg', 'wb'):
        pass
    (images / 'folder.jpg').mkdir()
    lines = train(tiny_config, tmp_path / 'w', data_root=str(images), train_cfg__max_iters=8)
    listed = (tmp_path / 'w' / 'unreadable.txt').read_text()
    assert len(lines) == 8 and all(name in listed for name in ('x.tif', 'y.jpg', r'caf\xe9.jpg'))


def test_a_full_disk_leaves_earlier_checkpoints_and_nothing_half_written(tiny_config, tmp_path):
    """Here: a limit on the size of a file."""
    train(tiny_config, tmp_path / 'w', train_cfg__max_iters=2)
    command = f'ulimit -f 6000; exec {sys.executable} tools/train.py {tiny_config} --work-dir {tmp_path}/w --resume'
    done = start(['bash', '-c', command])
    (line,) = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert f"cannot write '{tmp_path}/w/iter_3.pth'" in line and 'earlier checkpoints are untouched' in line
    assert sorted(p.name for p in (tmp_path / 'w').glob('iter_*')) == [
        'iter_1.pth', 'iter_1.pth.sha256', 'iter_2.pth', 'iter_2.pth.sha256',
    ]  # fmt: skip
    assert [x['iter'] for x in train(tiny_config, tmp_path / 'w', 'auto')] == [1, 2, 3, 4]
