"""Requirement 1 in mmdet: Mask R-CNN takes the checkpoint as it is, trains, evaluates, draws; on two ranks too."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eqssl.config.reader import read_config
from eqssl.utils.errors import UserError
from tests.conftest import ROOT

pytest.importorskip('mmdet')
pytest.importorskip('mmcv._ext', reason='mmcv without compiled ops')
pytestmark = [pytest.mark.downstream, pytest.mark.usefixtures('registered')]
CONFIG = 'configs/downstream/mmdet/mask_rcnn_demo_nuclei.py'


def test_mask_rcnn_learns_evaluates_and_draws(demo_checkpoint, finetune, logged, tmp_path):
    short = ['train_cfg.max_iters=30', 'train_cfg.val_interval=30', 'default_hooks.logger.interval=5']
    done = finetune([sys.executable, 'tools/train.py', CONFIG], tmp_path, f'checkpoint={demo_checkpoint}', *short)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    assert re.search(r'loaded (\d+) of \1 tensors from .*teacher.backbone', text) and 'parameter groups' in text
    lines = logged(tmp_path)
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert losses[-1] < 0.85 * losses[0], 'both are means over the iterations so far'
    assert lines[-1]['coco/bbox_mAP_50'] > 0.1 and lines[-1]['coco/segm_mAP_50'] > 0.1, 'boxes and masks are found'
    assert len(list(tmp_path.glob('*/vis_data/vis_image/*.png'))) == 4
    again = [
        sys.executable,
        'tools/test.py',
        CONFIG,
        str(tmp_path / 'iter_30.pth'),
        '--work-dir',
        str(tmp_path / 'test'),
    ]
    done = subprocess.run(
        [*again, '--json', str(tmp_path / 'test.json')], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    measured = json.loads((tmp_path / 'test.json').read_text())
    for key in ('coco/bbox_mAP', 'coco/segm_mAP'):
        assert measured[key] == lines[-1][key], 'tools/test.py measures what the run measured'


def test_two_ranks_train_evaluate_and_log_once(demo_checkpoint, finetune, logged, tmp_path):
    short = ['train_cfg.max_iters=3', 'train_cfg.val_interval=3', 'train_dataloader.batch_size=2']
    options = [f'checkpoint={demo_checkpoint}', 'default_hooks.logger.interval=1', *short]
    done = finetune(['bash', 'tools/dist_train.sh', CONFIG, '2'], tmp_path, *options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    lines = logged(tmp_path)
    assert [line['step'] for line in lines] == [1, 2, 3, 3] and 'coco/segm_mAP' in lines[-1]


def test_the_librarys_own_tool_trains_the_config(demo_checkpoint, finetune, logged, tmp_path):
    import mmdet

    from eqssl.downstream.nuclei import nuclei_folder

    tool, data = Path(mmdet.__file__).parent / '.mim/tools/train.py', nuclei_folder()
    options = [f'model.backbone.init_cfg.checkpoint={demo_checkpoint}', f'val_evaluator.ann_file={data}/val.json']
    options += [f'{split}_dataloader.dataset.data_root={data}' for split in ('train', 'val')]
    options += ['train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'default_hooks.logger.interval=1']
    done = finetune([sys.executable, str(tool), str(ROOT / CONFIG)], tmp_path, *options)
    assert done.returncode == 0 and 'tensors from' in done.stdout + done.stderr, (done.stdout + done.stderr)[-3000:]
    assert 'coco/segm_mAP' in logged(tmp_path)[-1]


def build(demo_checkpoint, **options):
    from mmengine.registry import MODELS as ROOT_MODELS

    from eqssl.apps.open_config import load_library
    from eqssl.config.finetuning import complete_finetuning

    cfg = read_config(str(ROOT / CONFIG), {'checkpoint': str(demo_checkpoint), **options})
    load_library('mmdet')
    complete_finetuning(cfg)
    detector = ROOT_MODELS.build(cfg.model)
    detector.init_weights()
    return detector.eval()


def test_the_backbone_inside_the_detector_has_the_features_of_pretraining(demo_checkpoint, pretrained):
    detector = build(demo_checkpoint)
    for size in (32, 64):
        images = torch.rand(2, 3, size, size)
        with torch.no_grad():
            want = pretrained.teacher.backbone(images)[0].patch
            got = detector.backbone(images)[-1].flatten(2).transpose(1, 2)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_windows_change_the_tokens_but_not_the_weights(demo_checkpoint):
    plain = build(demo_checkpoint)
    windows = build(demo_checkpoint, **{'model.backbone.window_size': 2})
    for name, value in windows.backbone.state_dict().items():
        assert value.equal(plain.backbone.state_dict()[name]), name
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(plain.backbone(images)[0], windows.backbone(images)[0], atol=1e-3)


def test_roi_align_reads_the_pyramid_as_torchvision_does(demo_checkpoint):
    """mmcv's operator takes memory as it lies: a map with other strides gives other features, and no error."""
    from torchvision.ops import roi_align

    detector = build(demo_checkpoint)
    rois = torch.tensor([[0.0, 3, 5, 40, 60], [1, 10, 2, 30, 33]])
    with torch.no_grad():
        maps = detector.extract_feat(torch.rand(2, 3, 64, 64))[:4]
        got = detector.roi_head.bbox_roi_extractor(maps, rois)
    for roi, features in zip(rois, got, strict=True):
        level = int(detector.roi_head.bbox_roi_extractor.map_roi_levels(roi[None], 4))
        want = roi_align(maps[level], roi[None], 7, 1 / 2 ** (level + 1), sampling_ratio=-1, aligned=True)
        torch.testing.assert_close(features, want[0])


def test_layer_decay_in_a_detector(demo_checkpoint):
    """Requirement 3: the constructor finds the backbone's depths inside mmdet's model."""
    from eqssl.engine.optimizers import OptimWrapperConstructor

    detector = build(demo_checkpoint)
    wrapper = OptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1)),
        dict(layer_decay=0.5, decay_tokens=False),
    )(detector)
    found = {id(p): group for group in wrapper.optimizer.param_groups for p in group['params']}
    names = dict(detector.named_parameters())
    for name, lr, decay in (
        ('backbone.pos_embed', 0.5**5, 0.0),
        ('backbone.patch_embed.projection.weight', 0.5**5, 0.1),
        ('backbone.layers.0.attn.qkv.weight', 0.5**4, 0.1),
        ('backbone.layers.3.attn.qkv.bias', 0.5, 0.0),
        ('neck.levels.0.1.weight', 1.0, 0.1),
        ('roi_head.bbox_head.fc_cls.weight', 1.0, 0.1),
    ):
        group = found[id(names[name])]
        assert (group['lr'], group['weight_decay']) == (pytest.approx(lr), decay), name


def test_what_is_wrong_is_told_in_one_line(demo_checkpoint, tmp_path):
    from eqssl.apps.train import run_training
    from tests.integration.test_bad_input import arguments

    given = {'checkpoint': str(demo_checkpoint)}
    (tmp_path / 'images/train').mkdir(parents=True)
    for options, message in (
        ({}, 'checkpoint is not set'),
        ({**given, 'data_root': str(tmp_path)}, "has no 'train.json', which CocoDataset reads"),
        ({**given, 'model.backbone.arch.embed_dims': 64}, 'another shape'),
        ({**given, 'model.backbone.arch.num_layers': 5}, 'fills only'),
    ):
        with pytest.raises(UserError, match=message):
            run_training(arguments(tmp_path, config=str(ROOT / CONFIG), options=options))


def test_a_refused_file_ends_the_command_in_one_line(tmp_path):
    """Without the warnings of mmdet and of torch's reader."""
    (tmp_path / 'file.pth').write_bytes(pickle.dumps({'state_dict': print}, protocol=4))
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(ROOT / CONFIG), '--check', '1', '--cfg-options']
    command += [f'checkpoint={tmp_path / "file.pth"}', f'work_dir={tmp_path / "work"}']
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    (line,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 2 and line.startswith('error: checkpoint') and 'code in them are refused' in line


def test_what_is_checked_before_a_launch(demo_checkpoint, tmp_path, monkeypatch):
    """``tools/dist_train.sh`` runs --check: what does not fit is said once, not by every rank."""
    from eqssl.apps.train import run_training
    from tests.integration.test_bad_input import arguments

    def check(options, **flags):
        return run_training(arguments(tmp_path, config=str(ROOT / CONFIG), options=options, check=2, **flags))

    monkeypatch.setattr('mmengine.model.BaseModule.init_weights', None)  # it would list every tensor
    assert check({'checkpoint': str(demo_checkpoint)}) == 0
    with pytest.raises(UserError, match='does not exist'):
        check({'checkpoint': str(tmp_path / 'none.pth')})
    with pytest.raises(UserError, match='checkpoint is not set'):
        check({}, resume='auto')  # nothing to resume from: the run would begin with random weights
    torch.save({'state_dict': {}}, tmp_path / 'work/iter_10.pth')
    assert check({}, resume='auto') == 0
    with pytest.raises(UserError, match='--amp: .* needs a GPU'):
        check({'checkpoint': str(demo_checkpoint)}, amp=True)
    with pytest.raises(UserError, match="default_scope='mmocr' is none of"):
        check({'default_scope': 'mmocr', 'checkpoint': str(demo_checkpoint)})


def test_a_model_from_random_weights_can_be_measured(tmp_path):
    from eqssl.apps.finetune import measuring_runner

    cfg = read_config(str(ROOT / CONFIG), {'model.backbone.init_cfg': None, 'work_dir': str(tmp_path)})
    cfg.train_dataloader.dataset.data_prefix.img = 'not/there'
    runner = measuring_runner(cfg, 'none')
    assert runner.model.backbone.init_cfg is None


@pytest.mark.parametrize('missing', ['mmdet.models', 'mmcv._ext'])
def test_without_mmdet_or_ops_it_says_what_to_install(missing, monkeypatch):
    from eqssl.apps import open_config

    def fail(name):
        raise ImportError(f"No module named '{missing}'")

    monkeypatch.setattr(open_config.importlib, 'import_module', fail)
    what = 'mmcv with compiled ops' if 'mmcv' in missing else 'onedl-mmdetection'
    with pytest.raises(UserError, match=f"default_scope='mmdet' needs {what}.*make install-mmdet"):
        open_config.load_library('mmdet')
    from mmengine.config import config

    monkeypatch.setattr(config, 'is_installed', lambda package: package != 'mmdet')
    with pytest.raises(UserError, match='mask_rcnn_demo_nuclei.py. needs onedl-mmdetection; make install-mmdet'):
        read_config(str(ROOT / CONFIG))
