"""The backbone: mmpretrain's keys and features, masks, sizes."""

from __future__ import annotations

import pytest
import torch
from mmpretrain.models import VisionTransformer as MMVisionTransformer

from eqssl.models.backbones import VisionTransformer
from tests.helpers import VIT


def make(**kw) -> VisionTransformer:
    torch.manual_seed(0)
    model = VisionTransformer(arch=dict(VIT), img_size=32, patch_size=8, **kw)
    model.init_weights()
    return model.eval()


def test_state_dict_is_mmpretrains_plus_mask_token_and_features_are_equal():
    ours = make()
    theirs = MMVisionTransformer(arch=dict(VIT), img_size=32, patch_size=8, out_type='raw')
    theirs.eval()
    state = ours.state_dict()
    assert set(state) - set(theirs.state_dict()) == {'mask_token'}
    theirs.load_state_dict({k: v for k, v in state.items() if k != 'mask_token'}, strict=True)
    for size in (32, 16, 48):
        x = torch.randn(2, 3, size, size)
        tokens, raw = ours([x])[0], theirs(x)[0]
        torch.testing.assert_close(tokens.cls, raw[:, 0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(tokens.patch, raw[:, 1:], atol=1e-5, rtol=1e-5)


def test_registers_take_part_and_are_no_output():
    """Darcet et al. 2024: they stand behind the class token, without a position, and are thrown away at the end."""
    model, plain = make(num_registers=3), make()
    torch.nn.init.normal_(model.register_tokens)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if k != 'register_tokens'}, strict=True)
    x = torch.randn(2, 3, 32, 32)
    tokens = model([x], blocks=(0,))[0]
    assert tokens.patch.shape == tokens.blocks[0].shape == (2, 16, model.embed_dims)
    assert not torch.allclose(tokens.cls, plain([x])[0].cls), 'attention reads them'
    embedded = model.embed(x)
    assert embedded.shape[1] == 20 and embedded[:, 1:4].equal(model.register_tokens.expand(2, -1, -1))
    torch.testing.assert_close(torch.cat([embedded[:, :1], embedded[:, 4:]], 1), plain.embed(x))
    tokens.patch.sum().backward()
    assert model.register_tokens.grad.abs().sum() > 0


def test_position_embedding_is_resized_once_per_size(monkeypatch):
    model, calls = make(), []
    original = torch.nn.functional.interpolate
    monkeypatch.setattr('torch.nn.functional.interpolate', lambda *a, **k: calls.append(1) or original(*a, **k))
    for _ in range(3):
        model([torch.randn(1, 3, 32, 32), torch.randn(1, 3, 16, 16), torch.randn(1, 3, 48, 48)])
    assert len(calls) == 2  # 16 and 48 px, once each
    model([torch.randn(1, 3, 16, 16)])[0].patch[..., 0].sum().backward()
    assert model.pos_embed.grad.abs().sum() > 0


def test_masked_patches_do_not_influence_anything_and_get_the_mask_token():
    model = make()
    torch.nn.init.normal_(model.mask_token)
    x, mask = torch.randn(1, 3, 32, 32), torch.zeros(1, 16, dtype=torch.bool)
    mask[0, [0, 5]] = True
    y = x.clone()
    y[:, :, :8, :8] = 0  # patch 0
    a, b = model([x], [mask])[0], model([y], [mask])[0]
    torch.testing.assert_close(a.cls, b.cls)
    assert not torch.allclose(model([x])[0].cls, a.cls)


def test_groups_do_not_influence_each_other_and_blocks_are_returned():
    model = make()
    x, y = torch.randn(2, 3, 32, 32), torch.randn(3, 3, 16, 16)
    both = model([x, y], None, (0,))
    torch.testing.assert_close(both[1].cls, model([y])[0].cls)
    assert both[0].blocks[0].shape == (2, 16, 32) and both[1].patch.shape == (3, 4, 32)


def test_mask_token_belongs_to_the_stem():
    assert make().get_layer_depth('backbone.mask_token', 'backbone.') == (0, 4)
    assert make().get_layer_depth('backbone.layers.1.ln1.weight', 'backbone.')[0] == 2


@pytest.mark.parametrize('arch', ['deit-small', 'large'])
def test_published_sizes(arch):
    with torch.device('meta'):
        model = VisionTransformer(arch=arch)
    count = sum(p.numel() for p in model.parameters()) / 1e6
    assert count == pytest.approx({'deit-small': 21.67, 'large': 303.3}[arch], abs=0.05)


def test_a_frozen_patch_embedding_takes_no_gradient():
    model = make(freeze_patch_embed=True).train()
    model(torch.randn(2, 3, 32, 32))[0].cls.sum().backward()
    without = {k for k, p in model.named_parameters() if p.grad is None}
    assert without == {'patch_embed.projection.weight', 'patch_embed.projection.bias', 'mask_token'}
