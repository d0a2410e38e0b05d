"""eqssl.models.backbones.block against mmpretrain's own layer, and as one compiled graph."""

import copy

import pytest
import torch
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch._dynamo.testing import CompileCounter

from eqssl.models.backbones import VisionTransformer
from eqssl.models.backbones.block import Block, DropPath

ARCH = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)


def made(**options):
    """mmpretrain's layer with weights that are not 0, and a copy of it as ours."""
    torch.manual_seed(0)
    layer = TransformerEncoderLayer(16, 2, 32, **options)
    for p in layer.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return layer, Block(copy.deepcopy(layer))


@pytest.mark.parametrize('options', [{}, {'layer_scale_init_value': 0.1}, {'qkv_bias': False}, {'drop_path_rate': 0.4}])
def test_what_mmpretrain_computes(options):
    layer, block = made(**options)
    x = torch.randn(3, 5, 16)
    assert layer.state_dict().keys() == block.state_dict().keys()
    torch.testing.assert_close(block.eval()(x), layer.eval()(x), rtol=0, atol=0)


@pytest.mark.parametrize('options', [{}, {'drop_path_rate': 0.4}, {'drop_path_rate': 0.4, 'drop_rate': 0.2}])
def test_the_same_draws_in_training(options):
    layer, block = made(**options)
    x = torch.randn(64, 5, 16)
    found = []
    for module in (layer, block):
        torch.manual_seed(3)
        out = module.train()(x)
        out.square().sum().backward()
        found.append([out.detach(), *(p.grad for p in module.parameters())])
    tolerance = 2e-6 if options.get('drop_path_rate') else 0
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * 100)


def test_drop_path_keeps_the_mean_and_its_share_in_half_precision():
    torch.manual_seed(0)
    drop = DropPath(0.3).train()
    x = torch.ones(20000, 2, 1, dtype=torch.bfloat16)
    out = drop(x).float()
    assert torch.equal(out[:, 0], out[:, 1])  # of a sample all or nothing
    kept = out[:, 0, 0] > 0
    assert abs(kept.float().mean() - 0.7) < 0.011  # 3 standard deviations
    torch.testing.assert_close(out[kept].unique(), torch.tensor([1 / 0.7]))
    assert drop.eval()(x) is x
    rare = DropPath(0.001).train()(torch.ones(200000, 1, dtype=torch.bfloat16))
    assert 5e-4 < float((rare == 0).float().mean()) < 2e-3  # drawn in bfloat16, nothing would be dropped


def test_all_blocks_are_few_whole_graphs():
    """One for blocks with, one for blocks without drop path, in training and evaluation: not one per probability."""
    model = VisionTransformer(arch=ARCH, img_size=16, patch_size=8, drop_path_rate=0.3)
    torch._dynamo.reset()
    counter = CompileCounter()
    for block in model.layers:
        block.compile(backend=counter, dynamic=False, fullgraph=True)
    for _ in range(2):
        model.train()([torch.rand(2, 3, 16, 16)])
        with torch.no_grad():
            model.eval()([torch.rand(2, 3, 16, 16)])
    assert counter.frame_count == 4
    torch._dynamo.reset()


def test_frozen_blocks_drop_nothing():
    model = VisionTransformer(arch=ARCH, img_size=16, patch_size=8, drop_path_rate=0.9, frozen_stages=2).train()
    assert [layer.training for layer in model.layers] == [False, False, True, True]
    assert not any(p.requires_grad for layer in model.layers[:2] for p in layer.parameters())
