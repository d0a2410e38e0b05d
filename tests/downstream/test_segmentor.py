"""Requirement 1 in mmseg: UPerNet takes a pre-training checkpoint as it is, trains, evaluates, draws; two ranks too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

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
    assert re.search(r'loaded (\d+) of \1 tensors from .*teacher.backbone', text) and 'parameter groups' in text
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


def write_layout(root, kind):
    """One small image per split, where ADE20K, VOC 2012 and ImageNet have theirs."""
    rng = np.random.default_rng(0)

    def save(path, array):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(root / path)

    photo, classes = rng.integers(0, 255, (80, 100, 3), dtype=np.uint8), rng.integers(0, 20, (80, 100), dtype=np.uint8)
    if kind == 'voc12':
        save('JPEGImages/a.jpg', photo)
        save('SegmentationClass/a.png', classes)
        (root / 'ImageSets/Segmentation').mkdir(parents=True)
        for split in ('train', 'val'):
            (root / f'ImageSets/Segmentation/{split}.txt').write_text('a\n')
    elif kind == 'in1k':
        for split in ('train', 'val'):
            for number in range(1000):
                (root / split / f'n{number:08d}').mkdir(parents=True)
            save(f'{split}/n00000007/a.JPEG', photo)
    else:
        for split in ('training', 'validation'):
            save(f'images/{split}/a.jpg', photo)
            save(f'annotations/{split}/a.png', classes)


def smaller(node):
    """Crops of 64 px instead of 512 and 224."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ('crop_size', 'size') and value == (512, 512):
                node[key] = (64, 64)
            elif key == 'scale' and value == (2048, 512):
                node[key] = (256, 64)
            elif key == 'stride':
                node[key] = (43, 43)
            else:
                smaller(value)
    elif isinstance(node, list):
        for value in node:
            smaller(value)


FULL = [
    p for p in sorted((ROOT / 'configs/downstream').glob('mm*/*.py')) if 'demo' not in p.stem and '_20k' not in p.stem
]


@pytest.mark.parametrize(
    'path', [*FULL, ROOT / 'configs/downstream/mmseg/upernet_vits_voc12_20k.py'], ids=lambda p: p.stem
)
def test_a_downstream_config_takes_a_step_and_predicts_from_its_data_layout(path, tmp_path):
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DATASETS as ROOT_DATASETS
    from mmengine.registry import MODELS as ROOT_MODELS
    from mmengine.registry import init_default_scope

    from eqssl.downstream.launch import complete, load_library

    write_layout(tmp_path, next((k for k in ('voc12', 'in1k') if k in path.stem), 'ade'))
    cfg = read_config(str(path), {'data_root': str(tmp_path), 'model.backbone.init_cfg': None})
    load_library(cfg.default_scope)
    init_default_scope(cfg.default_scope)
    complete(cfg)
    smaller(cfg._cfg_dict)
    if cfg.get('data_preprocessor'):
        cfg.model.data_preprocessor = dict(type='ClsDataPreprocessor', **cfg.data_preprocessor)
    model = ROOT_MODELS.build(cfg.model)
    model.train()
    train, val = (ROOT_DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
    batch = model.data_preprocessor(pseudo_collate([train[0], train[0]]), True)
    losses = model(**batch, mode='loss')
    total = sum(v for k, v in losses.items() if 'loss' in k)
    total.backward()
    assert torch.isfinite(total)
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == [], 'a parameter without gradient stops a distributed run'
    frozen = [p for p in model.backbone.parameters() if p.requires_grad]
    assert (frozen == []) == ('linear' in path.stem)
    model.eval()
    with torch.no_grad():
        (sample,) = model.test_step(pseudo_collate([val[0]]))
    if cfg.default_scope == 'mmseg':
        assert sample.pred_sem_seg.data.shape[-2:] == (80, 100)
    else:
        assert sample.pred_score.shape == (1000,)
