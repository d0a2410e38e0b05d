"""Where a downstream run begins, and what in its config is wrong, is said in one line before the first iteration."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
import torch

from eqssl.downstream.beginning import find_beginning, newest_checkpoint
from eqssl.engine.front_door import read_config
from eqssl.utils.errors import UserError
from tests.conftest import ROOT

pytest.importorskip('mmseg')
pytestmark = [pytest.mark.downstream, pytest.mark.usefixtures('registered')]
CONFIG = str(ROOT / 'configs/downstream/mmseg/upernet_demo_nuclei.py')


def run(tmp_path, options, **flags):
    from eqssl.engine.launch import run_training
    from tests.integration.test_bad_input import arguments

    return run_training(arguments(tmp_path, config=CONFIG, options=options, **flags))


class Code:
    def __reduce__(self):
        return os.system, ('touch executed',)


def test_the_newest_checkpoint_that_can_be_read(tmp_path):
    assert newest_checkpoint(str(tmp_path)) is None
    for step in (8, 9, 10):
        torch.save({'state_dict': {'x': torch.ones(99)}}, tmp_path / f'iter_{step}.pth')
    (tmp_path / 'last_checkpoint').write_text('/was/moved/iter_10.pth')
    torch.save({}, tmp_path / 'best_mIoU_iter_90.pth')
    assert newest_checkpoint(str(tmp_path)).name == 'iter_10.pth'
    for step, name in ((10, 'iter_9.pth'), (9, 'iter_8.pth')):
        path = tmp_path / f'iter_{step}.pth'
        path.write_bytes(path.read_bytes()[:500])
        assert newest_checkpoint(str(tmp_path)).name == name
    (tmp_path / 'iter_8.pth').write_bytes(b'')
    with pytest.raises(UserError, match='none of 3 checkpoints can be read .*iter_10.pth'):
        newest_checkpoint(str(tmp_path))


def test_where_a_run_begins(tmp_path):
    def beginning(**keys):
        cfg = read_config(CONFIG)
        cfg.update(work_dir=str(tmp_path), **keys)
        return find_beginning(cfg), cfg.resume

    assert beginning() == (None, False)
    assert beginning(resume=True) == (None, False), 'a new work dir: at the checkpoint'
    path = str(tmp_path / 'iter_3.pth')
    torch.save({'state_dict': {}}, path)
    assert beginning(resume=True) == (path, True)
    assert beginning(resume=True, load_from=path) == (path, True)
    assert beginning(load_from=path) == (path, False)
    assert beginning() == (None, False)


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
    torch.save({'state_dict': {'a': torch.zeros(1)}, 'meta': {}, 'message_hub': {}}, path)
    with pytest.raises(UserError, match=r'does not fit model: of \d+ tensors \d+ missing'):
        begin()


def test_a_run_resumes_in_a_moved_work_dir(demo_checkpoint, finetune, logged, tmp_path):
    short = ['train_cfg.max_iters=4', 'train_cfg.val_interval=4', 'default_hooks.logger.interval=1']
    short += ['default_hooks.checkpoint.interval=2', 'train_dataloader.batch_size=2']
    tool = [sys.executable, 'tools/train.py', CONFIG]
    done = finetune(tool, tmp_path / 'a', f'checkpoint={demo_checkpoint}', *short)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (tmp_path / 'b').mkdir()
    for name in ('iter_2.pth', 'iter_4.pth', 'last_checkpoint'):
        shutil.copy(tmp_path / 'a' / name, tmp_path / 'b')
    whole = (tmp_path / 'b/iter_4.pth').read_bytes()
    (tmp_path / 'b/iter_4.pth').write_bytes(whole[: len(whole) // 2])
    shutil.rmtree(tmp_path / 'a')
    done = finetune([*tool, '--resume'], tmp_path / 'b', *short)
    text = done.stdout + done.stderr
    assert done.returncode == 0 and "iter_4.pth' is not a checkpoint or is truncated" in text, text[-3000:]
    assert 'resuming from iter_2.pth' in text
    assert [line['step'] for line in logged(tmp_path / 'b')] == [3, 4, 4]


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
