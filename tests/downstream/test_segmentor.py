"""Requirement 1 in mmseg: UPerNet takes a pre-training checkpoint as it is, trains, evaluates, draws; two ranks too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
import torch

from eqssl.engine.front_door import open_front_door, read_config
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from tests.conftest import ROOT

pytest.importorskip('mmseg')
pytestmark = [pytest.mark.downstream, pytest.mark.usefixtures('registered')]
CONFIG = 'configs/downstream/mmseg/upernet_demo_nuclei.py'
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory, registered):
    """A pre-training checkpoint of the demo's network."""
    cfg = open_front_door(str(ROOT / 'configs/demo/ibot_recon_objects.py'))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    path = tmp_path_factory.mktemp('demo') / 'iter_300.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'cfg': cfg.pretty_text}}, path)
    return path


def run(command, work_dir, *options):
    return subprocess.run(
        [*command, '--work-dir', str(work_dir), '--cfg-options', *options],
        cwd=ROOT, env=ENV, capture_output=True, text=True, check=False,
    )  # fmt: skip


SHORT = ['train_cfg.max_iters=24', 'train_cfg.val_interval=24', 'train_dataloader.batch_size=2',
         'default_hooks.logger.interval=4']  # fmt: skip


def test_upernet_learns_evaluates_and_draws(checkpoint, tmp_path):
    done = run([sys.executable, 'tools/train.py', CONFIG], tmp_path, f'checkpoint={checkpoint}', *SHORT)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    assert re.search(r'loaded 52 of 52 tensors from .*teacher.backbone', text) and 'parameter groups' in text
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert losses[-1] < 0.9 * losses[0]
    assert lines[-1]['mIoU'] > 45, 'one class everywhere has 40'
    assert len(list(tmp_path.glob('*/vis_data/vis_image/*.png'))) == 4


def test_two_ranks_train_evaluate_and_log_once(checkpoint, tmp_path):
    short = ['train_cfg.max_iters=3', 'train_cfg.val_interval=3', 'train_dataloader.batch_size=2']
    options = [f'checkpoint={checkpoint}', 'default_hooks.logger.interval=1', *short]
    done = run(['bash', 'tools/dist_train.sh', CONFIG, '2'], tmp_path, *options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line['step'] for line in lines] == [1, 2, 3, 3] and 'mIoU' in lines[-1]


def test_the_backbone_inside_the_segmentor_has_the_features_of_pretraining(checkpoint):
    from mmengine.registry import MODELS as ROOT_MODELS

    from eqssl.downstream.launch import complete, load_library

    cfg = read_config(str(ROOT / CONFIG), {'checkpoint': str(checkpoint)})
    load_library('mmseg')
    complete(cfg)
    cfg.model.backbone.final_norm = True
    segmentor = ROOT_MODELS.build(cfg.model)
    segmentor.init_weights()
    segmentor.eval()
    pretrained = MODELS.build(open_front_door(str(ROOT / 'configs/demo/ibot_recon_objects.py')).model)
    pretrained.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    pretrained.eval()
    for size in (32, 64):
        images = torch.rand(2, 3, size, size)
        with torch.no_grad():
            want = pretrained.teacher.backbone(images)[0].patch
            got = segmentor.backbone(images)[-1].flatten(2).transpose(1, 2)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_what_is_wrong_is_told_in_one_line(checkpoint, tmp_path):
    from eqssl.engine.launch import run_training
    from tests.integration.test_bad_input import arguments

    for options, message in (
        ({}, 'checkpoint is not set; give it with --cfg-options checkpoint=FILE'),
        ({'checkpoint': str(checkpoint), 'data_root': '/nowhere'}, "data_root '/nowhere' is not a folder"),
        ({'checkpoint': str(checkpoint), 'model.backbone.patch_size': 4}, 'the patch sizes differ'),
        ({'checkpoint': str(checkpoint), 'model.backbone.init_cfg': None}, 'no init_cfg=dict'),
        ({'checkpoint': str(tmp_path / 'none.pth')}, 'does not exist'),
    ):
        with pytest.raises(UserError, match=message):
            run_training(arguments(tmp_path, config=str(ROOT / CONFIG), options=options))


@pytest.mark.parametrize('path', sorted((ROOT / 'configs/downstream').glob('mm*/*.py')), ids=lambda p: p.stem)
def test_every_downstream_model_builds_and_takes_the_checkpoint_of_its_size(path, tmp_path):
    from mmengine.registry import MODELS as ROOT_MODELS
    from mmengine.registry import init_default_scope

    from eqssl.downstream.launch import complete, load_library

    cfg = read_config(str(path))
    backbone = {k: v for k, v in cfg.model.backbone.items() if k in ('arch', 'img_size', 'patch_size')}
    source = MODELS.build(dict(type='eqssl.VisionTransformer', **backbone))
    torch.save({'teacher': {f'backbone.{k}': v for k, v in source.state_dict().items()}}, tmp_path / 'vit.pth')
    load_library(cfg.default_scope)
    init_default_scope(cfg.default_scope)
    cfg.checkpoint, cfg.data_root = str(tmp_path / 'vit.pth'), str(tmp_path)
    complete(cfg)
    assert all(loader.dataset.data_root == str(tmp_path) for loader in (cfg.train_dataloader, cfg.val_dataloader))
    model = ROOT_MODELS.build(cfg.model)
    model.init_weights()
    own = model.backbone.state_dict()
    assert own['layers.1.attn.qkv.weight'].equal(source.state_dict()['layers.1.attn.qkv.weight'])
    assert own['pos_embed'].equal(source.state_dict()['pos_embed'])
    text = path.read_text()
    assert all(f'# {field}' in text for field in ('reproduces:', 'cost:', 'command:', 'expected:', 'measured:'))
