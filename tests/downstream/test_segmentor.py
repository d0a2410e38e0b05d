"""Requirement 1 in mmseg: UPerNet takes a pre-training checkpoint as it is, trains, evaluates, draws; two ranks too."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from eqssl.config.reader import read_config
from eqssl.experiment import read_experiments
from eqssl.utils.errors import UserError
from tests.conftest import ROOT

pytest.importorskip('mmseg')
pytestmark = [pytest.mark.downstream, pytest.mark.usefixtures('registered')]
CONFIG = 'configs/downstream/mmseg/upernet_demo_nuclei.py'
SHORT = ['train_cfg.max_iters=24', 'train_cfg.val_interval=24', 'train_dataloader.batch_size=2',
         'default_hooks.logger.interval=4']  # fmt: skip


def test_upernet_learns_evaluates_and_draws(demo_checkpoint, finetune, logged, tmp_path):
    done = finetune([sys.executable, 'tools/train.py', CONFIG], tmp_path, f'checkpoint={demo_checkpoint}', *SHORT)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    assert re.search(r'loaded (\d+) of \1 tensors from .*teacher.backbone', text) and 'parameter groups' in text
    lines = logged(tmp_path)
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert losses[-1] < 0.9 * losses[0]
    assert lines[-1]['mIoU'] > 45, 'one class everywhere has 40'
    assert len(list(tmp_path.glob('*/vis_data/vis_image/*.png'))) == 4
    (trained,) = tmp_path.glob('iter_*.pth')
    command = [sys.executable, 'tools/test.py', CONFIG, str(trained), '--json', str(tmp_path / 'test.json')]
    done = finetune(command, tmp_path / 'test', 'log_level=INFO')
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert json.loads((tmp_path / 'test.json').read_text())['mIoU'] == pytest.approx(lines[-1]['mIoU'], abs=0.01)
    (run,), (measured,) = read_experiments(tmp_path), read_experiments(tmp_path / 'test.json')
    assert (run.kind, run.name, run.batch) == ('fine-tuning', 'upernet_demo_nuclei', 2) and run.data['images'] > 10
    assert measured.kind == 'evaluation' and measured.config['checkpoint'] == str(trained)
    assert measured.values['mIoU'] == pytest.approx(run.values['mIoU'], abs=0.01)


def test_two_ranks_train_evaluate_and_log_once(demo_checkpoint, finetune, logged, tmp_path):
    short = ['train_cfg.max_iters=3', 'train_cfg.val_interval=3', 'train_dataloader.batch_size=2']
    options = [f'checkpoint={demo_checkpoint}', 'default_hooks.logger.interval=1', *short]
    done = finetune(['bash', 'tools/dist_train.sh', CONFIG, '2'], tmp_path, *options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    lines = logged(tmp_path)
    assert [line['step'] for line in lines] == [1, 2, 3, 3] and 'mIoU' in lines[-1]


def test_the_librarys_own_tool_trains_the_config(demo_checkpoint, finetune, logged, tmp_path):
    import mmseg

    from eqssl.downstream.nuclei import nuclei_folder

    tool, data = Path(mmseg.__file__).parent / '.mim/tools/train.py', nuclei_folder()
    options = [f'model.backbone.init_cfg.checkpoint={demo_checkpoint}']
    options += [f'{split}_dataloader.dataset.data_root={data}' for split in ('train', 'val')]
    options += ['train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'default_hooks.logger.interval=1']
    done = finetune([sys.executable, str(tool), str(ROOT / CONFIG)], tmp_path, *options)
    assert done.returncode == 0 and 'tensors from' in done.stdout + done.stderr, (done.stdout + done.stderr)[-3000:]
    assert 'mIoU' in logged(tmp_path)[-1]


def test_the_backbone_inside_the_segmentor_has_the_features_of_pretraining(demo_checkpoint, pretrained):
    from mmengine.registry import MODELS as ROOT_MODELS

    from eqssl.apps.open_config import load_library
    from eqssl.config.finetuning import complete_finetuning

    cfg = read_config(str(ROOT / CONFIG), {'checkpoint': str(demo_checkpoint)})
    load_library('mmseg')
    complete_finetuning(cfg)
    cfg.model.backbone.final_norm = True
    segmentor = ROOT_MODELS.build(cfg.model)
    segmentor.init_weights()
    segmentor.eval()
    for size in (32, 64):
        images = torch.rand(2, 3, size, size)
        with torch.no_grad():
            want = pretrained.teacher.backbone(images)[0].patch
            got = segmentor.backbone(images)[-1].flatten(2).transpose(1, 2)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_what_is_wrong_is_told_in_one_line(demo_checkpoint, tmp_path):
    from eqssl.apps.train import run_training
    from tests.integration.test_bad_input import arguments

    given = {'checkpoint': str(demo_checkpoint)}
    for options, message in (
        ({}, 'checkpoint is not set; give it with --cfg-options checkpoint=FILE'),
        ({**given, 'data_root': '/nowhere'}, "data_root '/nowhere' is not a folder"),
        ({**given, 'data_root': str(tmp_path)}, "has no 'images/train', which mmseg.BaseSegDataset reads"),
        ({**given, 'model.backbone.patch_size': 4}, 'the patch sizes differ'),
        ({**given, 'model.backbone.init_cfg': None}, 'no init_cfg=dict'),
        ({'checkpoint': str(tmp_path / 'none.pth')}, 'does not exist'),
    ):
        with pytest.raises(UserError, match=message):
            run_training(arguments(tmp_path, config=str(ROOT / CONFIG), options=options))
