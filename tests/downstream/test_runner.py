"""Where a downstream run begins, and what in its config is wrong, is said in one line before the first iteration."""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import torch

from eqssl.config.reader import read_config
from eqssl.downstream.runner import find_beginning
from eqssl.utils.errors import UserError
from tests.conftest import ROOT

pytest.importorskip('mmseg')
pytestmark = [pytest.mark.downstream, pytest.mark.usefixtures('registered')]
CONFIG = str(ROOT / 'configs/downstream/mmseg/upernet_demo_nuclei.py')


def run(tmp_path, options, **flags):
    from eqssl.apps.train import run_training
    from tests.integration.test_bad_input import arguments

    return run_training(arguments(tmp_path, config=CONFIG, options=options, **flags))


class Code:
    def __reduce__(self):
        return os.system, ('touch executed',)


def beginning(folder, **keys):
    cfg = read_config(CONFIG)
    cfg.update(work_dir=str(folder), **keys)
    return find_beginning(cfg), cfg.resume


def test_the_newest_checkpoint_that_is_whole(tmp_path):
    for step in (8, 9, 10):
        torch.save({'state_dict': {'x': torch.ones(99)}}, tmp_path / f'epoch_{step}.pth')
    (tmp_path / 'last_checkpoint').write_text('/was/moved/epoch_10.pth')
    torch.save({}, tmp_path / 'best_mIoU_epoch_90.pth')
    for cut, name in ((None, 'epoch_10.pth'), (10, 'epoch_9.pth'), (9, 'epoch_8.pth')):
        if cut is not None:
            path = tmp_path / f'epoch_{cut}.pth'
            path.write_bytes(path.read_bytes()[:500])
        assert beginning(tmp_path, resume=True) == (str(tmp_path / name), True)
    (tmp_path / 'epoch_8.pth').write_bytes(b'')
    with pytest.raises(UserError, match='none of the 3 checkpoints in .* is valid .*cut off'):
        beginning(tmp_path, resume=True)


def test_where_a_run_begins(tmp_path):
    assert beginning(tmp_path) == (None, False)
    assert beginning(tmp_path, resume=True) == (None, False), 'a new work dir: at the checkpoint'
    path = str(tmp_path / 'iter_3.pth')
    torch.save({'state_dict': {}}, path)
    assert beginning(tmp_path, resume=True) == (path, True)
    assert beginning(tmp_path, resume=True, load_from=path) == (path, True)
    assert beginning(tmp_path, load_from=path) == (path, False)
    assert beginning(tmp_path) == (None, False)


@pytest.mark.parametrize('how', ['resume', 'load_from'])
def test_a_whole_model_is_read_as_data_and_fits_or_is_refused(tmp_path, how, monkeypatch):
    """mmengine executes a pickle, and takes what fits of a file that does not."""
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / 'file.pth')

    def begin():
        options = {'load_from': path} if how == 'load_from' else {}
        return run(tmp_path, options, resume=path if how == 'resume' else None)

    with pytest.raises(UserError, match='does not exist'):
        begin()
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'meta': Code(), 'message_hub': {}}, path)
    with pytest.raises(UserError, match='code in them are refused'):
        begin()
    assert not (tmp_path / 'executed').exists()
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'meta': {}, 'message_hub': {}, 'optimizer': {}}, path)
    with pytest.raises(UserError, match=r'does not fit model: of \d+ tensors \d+ missing'):
        begin()
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'meta': {}}, path)
    message = 'holds no training to resume .no message_hub.*load_from=FILE' if how == 'resume' else 'does not fit model'
    with pytest.raises(UserError, match=message):
        begin()


LENGTH = ['train_cfg.max_iters=4', 'train_cfg.val_interval=4', 'default_hooks.logger.interval=1',
          'default_hooks.checkpoint.interval=2', 'default_hooks.checkpoint.save_best=mIoU',
          'train_dataloader.batch_size=2']  # fmt: skip


@pytest.fixture(scope='module')
def trained(demo_checkpoint, finetune, tmp_path_factory):
    """A checkpoint after two of four iterations."""
    folder = tmp_path_factory.mktemp('trained')
    options = [*LENGTH, 'train_cfg.val_interval=2']
    done = finetune([sys.executable, 'tools/train.py', CONFIG], folder, f'checkpoint={demo_checkpoint}', *options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return folder / 'iter_2.pth'


def test_a_run_resumes_in_a_moved_work_dir(trained, finetune, logged, tmp_path):
    for name in ('iter_2.pth', 'iter_4.pth', 'last_checkpoint'):
        shutil.copy(trained.parent / name, tmp_path)
    (tmp_path / 'last_checkpoint').write_text('/was/elsewhere/iter_4.pth')
    whole = (tmp_path / 'iter_4.pth').read_bytes()
    (tmp_path / 'iter_4.pth').write_bytes(whole[: len(whole) // 2])
    done = finetune([sys.executable, 'tools/train.py', CONFIG, '--resume'], tmp_path, *LENGTH)
    text = done.stdout + done.stderr
    assert done.returncode == 0 and 'iter_4.pth is passed over' in text, text[-3000:]
    assert 'tensors from' in text and 'iter_2.pth' in text
    assert [line['step'] for line in logged(tmp_path)] == [3, 4, 4]


class Walk:
    """A pickle that reaches any function by attributes alone: ``getattr`` is what mmengine's own log needs."""

    def __init__(self, owner, *names):
        self.reduced = (getattr, (Walk(owner, *names[:-1]) if names[:-1] else owner, names[-1]))

    def __reduce__(self):
        return self.reduced


def getattr_chain():
    """Makes ``os.system`` a method that unpickling calls."""
    walk = [pathlib.PosixPath, *('_flavour.pathmod.os' if sys.version_info < (3, 12) else '_flavour.os').split('.')]
    namespace = Walk(argparse.Namespace(), '__class__')
    namespace.reduced = (*namespace.reduced, (None, {'__setstate__': Walk(*walk, 'system')}))

    class Victim:
        def __reduce__(self):
            return argparse.Namespace, (), 'touch executed'

    return [namespace, Victim()]


def test_the_chain_would_be_executed(tmp_path, monkeypatch):
    """In a process of its own: the class stays changed."""
    monkeypatch.chdir(tmp_path)
    torch.save({'meta': getattr_chain()}, 'file.pth')
    code = "import torch; torch.load('file.pth', weights_only=False)"
    subprocess.run([sys.executable, '-c', code], check=False, capture_output=True)
    assert (tmp_path / 'executed').exists()


@pytest.mark.parametrize('attack', ['text of a config', 'a pickle'])
def test_resuming_executes_nothing(trained, finetune, logged, tmp_path, attack):
    content = torch.load(trained, weights_only=False)
    if attack == 'a pickle':
        content['meta']['extra'] = getattr_chain()
    else:
        content['meta']['config'] = f"import os\nos.system('touch {tmp_path}/executed')\n"
    torch.save(content, tmp_path / 'file.pth')
    tool = [sys.executable, str(ROOT / 'tools/train.py'), CONFIG, '--resume', str(tmp_path / 'file.pth')]
    done = finetune(tool, tmp_path / 'work', *LENGTH)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert not (tmp_path / 'executed').exists() and not (ROOT / 'executed').exists()
    assert [line['step'] for line in logged(tmp_path / 'work')] == [3, 4, 4]


TYPOS = {
    'data_rot': ('/tmp', "config key 'data_rot' is unknown .*'data_root'"),
    'checkpoint': (12, 'init_cfg.checkpoint=12 is no path'),
    'model.typ': (1, "does not build: .*'typ'"),
    'model.backbone.type': ('eqssl.DenseVit', 'does not build: .*DenseVit is not in the'),
    'model.backbone.drop_path': (0.1, "does not build: .*'drop_path'"),
    'model.backbone.out_indices': (9, 'does not build: .*DenseViT'),
    'model.backbone.window_size': (-3, 'model.backbone.window_size=-3 is no number of patches'),
    'model.backbone.init_cfg.brnch': ('teacher', "does not build: .*'brnch'"),
    'optim_wrapper.optimizer.typo': (1, "does not build: .*'typo'"),
    'optim_wrapper.paramwise_cfg.layer_decay': ('abc', 'layer_decay=abc is not in'),
    'train_cfg.max_iter': (1, "does not build: .*'max_iter'"),
    'train_dataloader.dataset.img_sufix': ('.png', "does not build: .*'img_sufix'"),
}


@pytest.mark.parametrize('key', TYPOS)
def test_what_is_misspelt_is_told_in_one_line(demo_checkpoint, tmp_path, key):
    value, message = TYPOS[key]
    with pytest.raises(UserError, match=message) as caught:
        run(tmp_path, {'checkpoint': str(demo_checkpoint), key: value})
    assert len(str(caught.value)) < 500 and not list((tmp_path / 'work').glob('*.pth'))
