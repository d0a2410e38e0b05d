"""Bad input gives one clear line that names the key or the file, and exit code 2."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest
import torch

from eqssl.apps.train import run_training
from eqssl.checkpoint.store import write_checkpoint
from eqssl.utils.errors import UserError
from tests.conftest import ROOT, write_images

DEMO = str(ROOT / 'configs/demo/ibot_recon_objects.py')
pytestmark = pytest.mark.integration


def arguments(tmp_path, config=DEMO, options=None, **kw):
    values = dict(
        config=config, work_dir=str(tmp_path / 'work'), resume=None, amp=False, auto_scale_lr=False,
        cfg_options=options, launcher='none', check=None, debug=False, trial=None,
    )  # fmt: skip
    return argparse.Namespace(**{**values, **kw})


ALONE = {'model.neck': None, 'model.auxiliary': None}  # the base method without the demo's reconstruction
RESNET = dict(_delete_=True, type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=8, base_channels=8)


def head(kind, **options):
    return {'model.head': dict(_delete_=True, type=f'eqssl.{kind}', **options), **ALONE}


def task(kind, **options):
    return {'model.auxiliary.extra': dict(type=f'eqssl.{kind}', **options)}


FOLDER = {'train_dataloader.dataset.source': dict(_delete_=True, type='eqssl.ImageFolder')}
CASES = {
    'missing data root': ({**FOLDER, 'data_root': '/nowhere'}, "data_root '/nowhere' is not a folder"),
    'empty folder': ({**FOLDER, 'data_root': 'EMPTY'}, 'holds no image'),
    'misspelt top-level key': ({'param_schedulers': 1}, "'param_schedulers' is unknown .*'param_scheduler'"),
    'misspelt nested key': ({'model.head.student_tmp': 1}, "'model.head.student_tmp' is unknown .*'student_temp'"),
    'misspelt hook': ({'default_hooks.chekpoint': {}}, "'default_hooks.chekpoint' is unknown .*'checkpoint'"),
    'misspelt view key': (
        {'train_dataloader.dataset.views.views.0.blurr_prob': 1}, "blurr_prob' is unknown .*'blur_prob'"
    ),
    'misspelt type': ({'model.backbone.type': 'eqssl.VisionTransfomer'}, "backbone.type='eqssl.VisionTransfomer'"),
    'misspelt optimizer': ({'optim_wrapper.optimizer.type': 'AdamWW'}, "optim_wrapper.optimizer.type='AdamWW'"),
    'equi dims too large': ({'model.neck.equi_dims': 2000}, 'model.neck.equi_dims=2000 .*out_channels=1280'),
    'warm-up longer than the run': ({'train_cfg.max_iters': 10}, 'param_scheduler: warmup=40'),
    'optimizer that cannot skip': (
        {'optim_wrapper.optimizer': dict(type='RMSprop', lr=0.1)}, 'RMSprop cannot skip a non-finite step'
    ),
    'mask grid of another size': ({'train_dataloader.dataset.mask.grid': 8}, 'mask.grid=8, but crops of 32 px have 4'),
    'blur beyond the kernel': ({'model.data_preprocessor.max_sigma': 0.3}, 'max_sigma=0.3 is less than'),
    'misspelt head': ({'model.head.type': 'eqssl.SimCLRHed'}, "model.head.type='eqssl.SimCLRHed' .*SimCLRHead"),
    'masked tokens from a ResNet': (
        {'model.backbone': RESNET, **ALONE}, 'IBOTHead needs masked patch tokens, but model.backbone ResNet_CIFAR'
    ),
    'batch too small for batch norm': (
        {**head('BYOLHead'), 'train_dataloader.batch_size': 1}, 'train_dataloader.batch_size=1 is too small .*norm'
    ),
    'batch too small for a contrast': (
        {**head('SupConHead'), 'train_dataloader.batch_size': 1}, 'SupConHead compares .*batch_size=1 must be'
    ),
    'queue not divisible': (
        head('SwAVHead', prototypes=64, queue_length=200), 'queue_length=200 is not a multiple of .*set it to 256'
    ),
    'queue longer than the data': (
        head('SwAVHead', prototypes=64, queue_length=128000), 'queue_length=128000 exceeds the 3380 images'
    ),
    'more prototypes than embeddings': (
        head('SwAVHead', prototypes=3000), 'model.head.prototypes=3000 exceed the 128 embeddings .*allow_sparse=True'
    ),
    'a backbone that refuses its options': (
        {'model.backbone': {**RESNET, 'out_indices': (9,)}, **head('BYOLHead')}, 'model.backbone mmpretrain.* refuses'
    ),
    'a head that is no dict': ({'model.head': 'BYOLHead', **ALONE}, "model.head='BYOLHead' must be a dict"),
    'one prototype': (head('SwAVHead', prototypes=1), 'model.head.prototypes=1'),
    'labels missing': (
        {**head('SupConHead'), **FOLDER, 'data_root': 'IMAGES'}, 'SupConHead needs labels.*with_label=True'
    ),
    'local crops that nobody reads': (
        {**head('BYOLHead'), 'train_dataloader.dataset.views.views.1.group': 'local'}, "takes 2 crops of group 'global'"
    ),
    'momentum beyond one': (head('BYOLHead', momentum=1.5), 'model.head.momentum=1.5'),
    'noise over fewer classes than there are': (
        head('SupConHead', label_noise=0.1, num_classes=5), 'num_classes=5, but the data has 169 classes'
    ),
    'mmpretrain LARS': (
        {'optim_wrapper.optimizer': dict(_delete_=True, type='mmpretrain.LARS', lr=0.1)}, 'use eqssl.LARS'
    ),
    'patch embedding of a ResNet': (
        {'model.backbone': RESNET, **head('BYOLHead'), 'optim_wrapper.paramwise_cfg': dict(patch_embed_lr=0.2)},
        'the model has no patch embedding'
    ),
    'batch norm synchronized by mmcv': ({'sync_bn': 'mmcv'}, "sync_bn='mmcv' is not supported"),
    'no blocks in a ResNet': (
        {'model.backbone': RESNET, **head('DINOHead', hidden=16, bottleneck=8, out_dim=1024),
         'model.neck': dict(_delete_=True, type='eqssl.SplitNeck', in_channels=64, split_at='block:1')},
        "split_at='block:k' needs a ViT"
    ),
    'jigsaw cells smaller than a patch': (
        task('JigsawTask', patch=8), r'model.auxiliary.extra: a cell of 5 px .* 8 px that the backbone takes'
    ),
    'reconstruction without a patch grid': (
        {'model.backbone': RESNET, 'model.head': dict(_delete_=True, type='eqssl.SimCLRHead'),
         'model.neck': dict(_delete_=True, type='eqssl.SplitNeck', out_channels=64, equi_dims=32, invariant='linear')},
        r'model.auxiliary.recon draws images from a grid .* set model.auxiliary.recon.decoder.grid'
    ),
    'angle out of range': ({'model.auxiliary.recon.path.degrees': 400.0}, r'model.auxiliary.recon.path.degrees=400.0'),
    'shift out of range': ({'model.auxiliary.recon.path.pixels': -1.0}, r'model.auxiliary.recon.path.pixels=-1.0'),
    'blur without a range': (
        {'model.auxiliary.recon.path': dict(_delete_=True, type='eqssl.Blur', sigma=(2.0, 1.0))},
        r'model.auxiliary.recon.path.sigma=\(2.0, 1.0\)'
    ),
    'k larger than the batch': (task('AdaptiveTopK', share=1.5), 'model.auxiliary.extra.share=1.5 .* k cannot exceed'),
    'no equivariant dims': ({'model.neck.equi_dims': 0}, 'model.neck.equi_dims=0 must be at least 1'),
    'equivariant task without a neck': (
        {'model.neck': None}, 'model.auxiliary.recon reads equivariant features; add neck'
    ),
    'a task whose name is taken': (
        {'model.auxiliary.keys': dict(type='eqssl.AugSelfTask')}, "'keys' cannot be the name"
    ),
    'a head of a task': (
        task('RotationTask', head=dict(type='eqssl.RotationHead', norm='gn')), "model.auxiliary.extra.head.norm='gn'"
    ),
    'an expander without layers': (task('SIETask', layers=0), 'model.auxiliary.extra.layers=0'),
    'angles that are none': (task('RotationTask', angles=1, head=dict(type='eqssl.RotationHead')), 'extra.angles=1'),
    'a decoder of two stages': (
        {'model.auxiliary.recon.decoder.channels': (32, 16)}, r'recon.decoder.channels=\(32, 16\) must be three'
    ),
    'both lengths': ({'train_cfg.max_epochs': 3}, 'exactly one of max_epochs and max_iters'),
}  # fmt: skip


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.replace(' ', '_'))
def test_bad_config_or_data(case, tmp_path):
    options, message = CASES[case]
    (tmp_path / 'empty').mkdir()
    write_images(tmp_path / 'images', 4)
    folders = {'EMPTY': str(tmp_path / 'empty'), 'IMAGES': str(tmp_path / 'images')}
    options = {k: folders.get(v, v) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(UserError, match=message) as caught:
        run_training(arguments(tmp_path, options=options))
    assert len(str(caught.value)) < 500
    assert not list(tmp_path.glob('work/iter_*')), 'nothing half-written'


def test_more_ranks_than_images(tmp_path):
    write_images(tmp_path / 'few', 3)
    options = {**FOLDER, 'data_root': str(tmp_path / 'few')}
    with pytest.raises(UserError, match='8 ranks, but data_root holds 3 images'):
        run_training(arguments(tmp_path, options=options, check=8))


def test_unwritable_work_dir(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='work dir .* is not writable'):
        run_training(arguments(tmp_path, work_dir=str(tmp_path / 'file' / 'work')))


def test_checkpoint_of_another_architecture(tmp_path):
    path = tmp_path / 'other.pth'
    write_checkpoint(path, {'state_dict': {'backbone.pos_embed': torch.zeros(1, 197, 384)}})
    with pytest.raises(UserError, match='does not fit model: of .* tensors .* missing'):
        run_training(arguments(tmp_path, options={'load_from': str(path)}))
    with pytest.raises(UserError, match='cannot be resumed from'):
        run_training(arguments(tmp_path, resume=str(path)))
    with pytest.raises(UserError, match='does not exist'):
        run_training(arguments(tmp_path, resume=str(tmp_path / 'none.pth')))


def test_two_tasks_of_one_name(tmp_path):
    base = tmp_path / 'base.py'
    base.write_text(
        "auxiliary = {'a': dict(type='eqssl.AugSelfTask'),\n             'a': dict(type='eqssl.JigsawTask')}\n"
    )
    config = tmp_path / 'config.py'
    config.write_text("_base_ = ['base.py']\nmodel = dict(auxiliary={{_base_.auxiliary}})\n")
    with pytest.raises(UserError, match=r"base.py', line 1: key 'a' stands twice"):
        run_training(arguments(tmp_path, config=str(config)))
    config.write_text("model = dict(auxiliary=dict(a=dict(type='eqssl.AugSelfTask'), a=None))\n")
    with pytest.raises(UserError, match='keyword argument repeated: a'):
        run_training(arguments(tmp_path, config=str(config)))


def test_missing_config_and_broken_config(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        run_training(arguments(tmp_path, config='configs/none.py'))
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    with pytest.raises(UserError, match='cannot be read: SyntaxError'):
        run_training(arguments(tmp_path, config=str(tmp_path / 'broken.py')))


def test_the_command_line_prints_one_line_and_exits_with_2(tmp_path):
    command = [sys.executable, str(ROOT / 'tools/train.py'), DEMO, '--work-dir', str(tmp_path)]
    done = subprocess.run(
        [*command, '--cfg-options', 'model.neck.equi_dim=4'], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith('error:')]
    assert lines == ["error: config key 'model.neck.equi_dim' is unknown (did you mean 'equi_dims'?)"]
