"""Requirement 2: the initializer through mmengine's init_cfg; what does not fit is refused in one line."""

from __future__ import annotations

import pickle

import pytest
import torch
from mmengine.registry import MODELS

from eqssl.config.reader import read_config
from eqssl.downstream import load_backbone, read_backbone
from eqssl.downstream.key_maps import TIMM, translate
from eqssl.utils.errors import UserError
from tests.conftest import ROOT
from tests.downstream import published
from tests.downstream.published import DIM, HEADS, PATCH, SIZES, loaded, randomized, saved, values, vit

pytestmark = pytest.mark.usefixtures('registered')

# -- through mmengine's init_cfg ----------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['mmpretrain.VisionTransformer', 'eqssl.VisionTransformer', 'eqssl.DenseViT'])
def test_init_weights_keeps_what_was_loaded(tmp_path, kind):
    source = vit(1)
    init = dict(type='eqssl.PretrainedBackbone', checkpoint=saved(tmp_path, source.state_dict()), branch='teacher')
    model = MODELS.build(dict(type=kind, arch=dict(SIZES), img_size=16, patch_size=PATCH, init_cfg=init))
    model.init_weights()
    own = model.state_dict()
    for name, value in source.state_dict().items():
        torch.testing.assert_close(own[name], value, rtol=0, atol=0)


def test_init_weights_inside_a_larger_model_and_of_a_resnet(tmp_path):
    from mmengine.model import BaseModule
    from mmpretrain.models import ResNet

    source = randomized(ResNet(18))
    init = dict(type='eqssl.PretrainedBackbone', checkpoint=saved(tmp_path, {'state_dict': source.state_dict()}))

    class Segmentor(BaseModule):
        def __init__(self):
            super().__init__()
            self.backbone = MODELS.build(dict(type='mmpretrain.ResNet', depth=18, init_cfg=init))

        def _dump_init_info(self):
            self.told = {name: self._params_init_info[tensor]['init_info'] for name, tensor in self.named_parameters()}

    model = Segmentor()
    model.init_weights()
    assert all(line.startswith('loaded 120 of 120 tensors') for line in model.told.values()), model.told
    torch.testing.assert_close(model.backbone.layer4[1].bn2.weight, source.layer4[1].bn2.weight, rtol=0, atol=0)


# -- refused ------------------------------------------------------------------------------------------------------


def half(state):
    return {k: v for n, (k, v) in enumerate(state.items()) if n % 2 or 'patch_embed' in k}


def without(state, name):
    return {k: v for k, v in state.items() if k != name}


WIDE = {**SIZES, 'embed_dims': 384, 'num_heads': 6}
STUDENT = {'student': values(published.dino_keys(), prefix='backbone.')}
RESNET = values({'layer1.0.conv1.weight': (4, 4, 1, 1), 'conv1.weight': (4, 3, 7, 7)})
REFUSED = {
    'no prefix matches': ({'state_dict': {'encoder.weight': torch.zeros(2)}}, 'no backbone that is known here'),
    'half the keys': (half(vit().state_dict()), r'fills only \d+ of 42 tensors of the backbone; missing: '),
    'ViT-S in ViT-B': (
        vit(arch={**SIZES, 'embed_dims': 48}).state_dict(), r'have another shape \(first: cls_token is \(1, 1, 48\)'
    ),
    'patch 14 and 16': (
        vit(patch_size=2, img_size=8).state_dict(), r'projection.weight is \(24, 3, 2, 2\).*the patch sizes differ'
    ),
    'deeper': (
        vit(arch={**SIZES, 'num_layers': 5}).state_dict(), '24 backbone tensors that the config has no place for'
    ),
    'ResNet in ViT': (RESNET, 'holds a ResNet, but .* is a ViT'),
    'no position embedding': (without(vit().state_dict(), 'pos_embed'), 'fills only 41 of 42 .* missing: pos_embed'),
    'a distillation token': (
        values(published.dino_keys() | {'dist_token': (1, 1, DIM)}), 'that the config has no place for: dist_token'
    ),
    'norms of queries and keys': (
        values(published.dino_keys() | {'blocks.0.attn.q_norm.weight': (12,)}), 'no place for: blocks.0.attn.q_norm'
    ),
    'a position map': (
        {**values(published.dino_keys()), 'pos_embed': torch.zeros(1, 8, 8, DIM)}, r'pos_embed is \(1, 8, 8, 24\)'
    ),
    'only a student': (STUDENT, "has no teacher backbone; it has 'student: "),
}  # fmt: skip


@pytest.mark.parametrize('case', REFUSED, ids=lambda c: c.replace(' ', '_'))
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, case):
    content, message = REFUSED[case]
    target = vit(seed=5)
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(UserError, match=message) as caught:
        load_backbone(target, saved(tmp_path, content), 'teacher')
    assert 'file.pth' in str(caught.value) and len(str(caught.value)) < 400
    assert all(v.equal(before[k]) for k, v in target.state_dict().items()), 'nothing half-loaded'


def test_mocov3_vit_small_needs_its_twelve_heads(tmp_path):
    state = vit(arch=WIDE).state_dict()
    names = {k: translate(k, TIMM, outward=True) for k in state}
    path = saved(tmp_path, {'state_dict': {f'module.base_encoder.{names[k]}': v for k, v in state.items()}})
    with pytest.raises(UserError, match='has 12 heads, the config 6'):
        loaded(path, arch=WIDE)
    loaded(path, arch={**WIDE, 'num_heads': 12})


def test_heads_are_compared_with_the_config_inside_the_file(tmp_path):
    """No shape tells them: our own MoCo v3 has 12 where every other ViT-S has 6."""
    cfg = read_config(str(ROOT / 'configs/eqssl/mocov3_vits.py'))
    cfg.model.backbone.arch = {**SIZES, 'num_heads': 2 * HEADS}
    content = {'state_dict': {f'backbone.{k}': v for k, v in vit().state_dict().items()}}
    path = saved(tmp_path, content | {'meta': {'cfg': cfg.pretty_text}})
    with pytest.raises(UserError, match=f'its ViT has {2 * HEADS} heads, the config {HEADS}; set arch=dict'):
        loaded(path)
    loaded(path, arch={**SIZES, 'num_heads': 2 * HEADS})
    cfg.model.backbone.arch = 'deit-small'
    with pytest.raises(UserError, match=f'its ViT has 6 heads, the config {HEADS}'):
        loaded(saved(tmp_path, content | {'meta': {'cfg': cfg.pretty_text}}))
    loaded(saved(tmp_path, content | {'meta': {'cfg': 'model = build()'}}))  # no plain data: nothing is known


def test_a_backbone_that_does_not_say_its_grid(tmp_path):
    module = vit()
    del module.patch_resolution
    with pytest.raises(UserError, match='does not say its grid.*use eqssl.DenseViT'):
        load_backbone(module, saved(tmp_path, vit(img_size=32).state_dict()))


class Code:
    def __reduce__(self):
        return print, ('executed',)


def test_files_that_cannot_be_read_as_data(tmp_path, capsys):
    path = tmp_path / 'file.pth'
    torch.save(vit().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match='truncated'):
        read_backbone(path)
    torch.save({'a': torch.ones(9)}, path, _use_new_zipfile_serialization=False)  # as older releases are
    old = path.read_bytes()
    for cut in range(len(old) - 1):
        path.write_bytes(old[:cut])
        with pytest.raises(UserError, match=r'truncated|not a checkpoint|plain data|no backbone'):
            read_backbone(path)
    path.write_text('<!DOCTYPE html><title>Log in</title>')
    with pytest.raises(UserError, match='is not a checkpoint of PyTorch'):
        read_backbone(path)
    path.write_bytes(pickle.dumps({'state_dict': Code()}))
    with pytest.raises(UserError, match='code in them are refused'):
        read_backbone(path)
    assert 'executed' not in capsys.readouterr().out
    with pytest.raises(UserError, match='does not exist'):
        read_backbone(tmp_path / 'none.pth')


def test_a_missing_checkpoint_key_and_an_unknown_branch_are_named():
    backbone = dict(type='mmpretrain.VisionTransformer', arch=dict(SIZES), img_size=16, patch_size=4)
    for init, message in (
        (dict(checkpoint=None), 'checkpoint is not set'),
        (dict(checkpoint='x', branch='ema'), "branch='ema'"),
    ):
        with pytest.raises(UserError, match=message):
            MODELS.build({**backbone, 'init_cfg': dict(type='eqssl.PretrainedBackbone', **init)}).init_weights()
