"""The dense backbone has the tokens of pre-training; windows and pyramid are what they say."""

from __future__ import annotations

import pytest
import torch

from eqssl.downstream import DenseViT, SimpleFeaturePyramid
from eqssl.downstream.dense_vit import from_windows, to_windows
from eqssl.models.backbones import VisionTransformer
from eqssl.utils.errors import UserError
from tests.downstream.published import DEPTH, DIM, PATCH, SIZES, randomized

pytestmark = pytest.mark.usefixtures('registered')
VIT = dict(arch=dict(SIZES), img_size=16, patch_size=PATCH)


def pair(**options):
    """A pre-training backbone and a dense one with its weights."""
    shared = dict(VIT, num_registers=options.pop('num_registers', 0))
    source, target = randomized(VisionTransformer(**shared)), DenseViT(**shared, **options)
    target.load_state_dict({k: v for k, v in source.state_dict().items() if k in target.state_dict()}, strict=True)
    target.eval()
    return source, target


@pytest.mark.parametrize('registers', [0, 3])
@pytest.mark.parametrize('size', [(16, 16), (24, 24), (32, 20)], ids=str)
def test_maps_are_the_tokens_of_pretraining(size, registers):
    source, target = pair(out_indices=(0, 2), num_registers=registers)
    images = torch.rand(2, 3, *size)
    grid = (size[0] // PATCH, size[1] // PATCH)
    first, last = target(images)
    tokens = source(images, blocks=(0,))[0]
    want = tokens.patch.transpose(1, 2).unflatten(2, grid)
    torch.testing.assert_close(last, want, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(source.ln1(first.flatten(2).transpose(1, 2)), tokens.blocks[0], rtol=1e-5, atol=1e-5)


def test_maps_equal_mmpretrains_feature_maps():
    from mmpretrain.models import VisionTransformer as Theirs

    _, target = pair(out_indices=(0, 2), final_norm=False)
    theirs = Theirs(**VIT, out_indices=(0, 2), out_type='featmap', final_norm=False)
    theirs.load_state_dict(target.state_dict())
    theirs.eval()
    images = torch.rand(2, 3, 20, 24)
    for ours, other in zip(target(images), theirs(images), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-5)


def test_windows_are_cut_and_put_back():
    x = torch.arange(2 * 5 * 7 * 1.0).reshape(2, 5, 7, 1)
    windows, padded = to_windows(x, 3)
    assert windows.shape == (2 * 2 * 3, 9, 1) and padded == (6, 9)
    for row in range(2):
        for column in range(3):
            want = torch.nn.functional.pad(x, (0, 0, 0, 2, 0, 1))[0, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            assert windows[row * 3 + column].flatten().equal(want.flatten())
    assert from_windows(windows, 3, padded, (5, 7)).equal(x)


def test_a_window_sees_nothing_beyond_itself_and_a_global_block_sees_all():
    _, local = pair(window_size=2, global_blocks=())
    _, mixed = pair(window_size=2, global_blocks=(DEPTH - 1,))
    images = torch.rand(1, 3, 16, 16)
    changed = images.clone()
    changed[..., 8:, 8:] += 1.0  # the last of the four windows
    for model, reach in ((local, False), (mixed, True)):
        before, after = model(images)[0], model(changed)[0]
        assert not torch.allclose(before[..., 2:, 2:], after[..., 2:, 2:])
        assert torch.equal(before[..., :2, :2], after[..., :2, :2]) != reach


def test_one_window_over_everything_is_global_attention():
    _, windowed = pair(window_size=4, global_blocks=())
    _, other = pair(window_size=3, global_blocks=range(DEPTH))
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(windowed(images)[0], other(images)[0], rtol=1e-5, atol=1e-5)


def test_recomputed_blocks_have_the_same_gradients():
    images, gradients = torch.rand(1, 3, 16, 16), []
    for recompute in (False, True):
        _, model = pair(checkpoint_blocks=recompute)
        model.train()
        model(images)[0].square().sum().backward()
        gradients.append(model.patch_embed.projection.weight.grad)
    torch.testing.assert_close(*gradients)


def test_images_that_are_no_multiple_of_a_patch_are_padded():
    _, model = pair()
    assert model(torch.rand(1, 3, 18, 21))[0].shape == (1, DIM, 5, 6)


def test_windows_cost_what_they_should():
    """Attention's share falls from N^2 to N * window^2; the rest stays."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    flops = []
    for options in ({}, dict(window_size=4, global_blocks=())):
        _, model = pair(**options)
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            model(torch.rand(1, 3, 64, 64))
        flops.append(counter.get_total_flops())
    tokens, window = 256, 16
    attention = 2 * 2 * tokens * tokens * DIM * DEPTH
    assert flops[0] - flops[1] == pytest.approx(attention * (1 - window / tokens), rel=0.05)


def test_what_a_forward_does_not_use_is_not_trained():
    for options in (dict(window_size=2), dict(out_indices=(0,)), dict(out_indices=(0,), window_size=2)):
        _, model = pair(**options)
        model.train()
        sum(m.square().sum() for m in model(torch.rand(1, 3, 16, 16))).backward()
        assert [n for n, p in model.named_parameters() if p.requires_grad != (p.grad is not None)] == []


def test_an_images_windows_are_dropped_together():
    _, model = pair(window_size=2, global_blocks=(), drop_path_rate=0.9)
    model.train()
    torch.manual_seed(0)
    block = model.layers[DEPTH - 1]
    block.ffn.forward = lambda x, identity: identity
    tokens = torch.rand(64, 16, DIM)
    changed = (model._run_block(DEPTH - 1, tokens, (4, 4)) != tokens).flatten(1)
    assert set(changed.any(1).tolist()) == {True, False}, 'some images are dropped, some are not'
    assert changed.all(1).equal(changed.any(1)), 'never a part of an image'


@pytest.mark.parametrize('final_norm', [True, False, 'all'])
def test_which_maps_are_normalized(final_norm):
    source, target = pair(out_indices=(0, 2), final_norm=final_norm)
    images = torch.rand(2, 3, 16, 16)
    first, last = (m.flatten(2).transpose(1, 2) for m in target(images))
    tokens = source(images, blocks=(0,))[0]
    assert torch.allclose(first, tokens.blocks[0], atol=1e-5) == (final_norm == 'all')
    assert torch.allclose(last, tokens.patch, atol=1e-5) == (final_norm is not False)
    with pytest.raises(UserError, match='final_norm'):
        DenseViT(**VIT, final_norm='last')


def test_frozen_blocks_stay_in_eval_mode():
    for build in (DenseViT, VisionTransformer):
        model = build(**VIT, frozen_stages=DEPTH, num_registers=2)
        model.train()
        assert {n for n, p in model.named_parameters() if p.requires_grad} <= {'mask_token'}, 'registers are frozen too'
        model = build(**VIT, frozen_stages=2, drop_path_rate=0.5)
        model.train()
        assert [layer.training for layer in model.layers] == [False, False, True]


def test_pyramid_levels():
    neck = SimpleFeaturePyramid(DIM, 8, 5)
    outs = neck((torch.rand(1, DIM, 6, 8),))
    assert [tuple(o.shape[1:]) for o in outs] == [(8, 24, 32), (8, 12, 16), (8, 6, 8), (8, 3, 4), (8, 2, 2)]
    assert outs[4].equal(outs[3][..., ::2, ::2])
    normed = outs[1].mean(1)  # layer norm over channels, with its initial weights
    torch.testing.assert_close(normed, torch.zeros_like(normed), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: DenseViT(**VIT, out_indices=(7,)), r'out_indices=\(7,\): the backbone has 3 blocks'),
        (lambda: DenseViT(**VIT, global_blocks=(1,)), 'global_blocks needs window_size'),
        (lambda: DenseViT(**VIT, window_size=2, global_blocks=(9,)), 'global_blocks'),
        (lambda: SimpleFeaturePyramid(30), 'in_channels=30 must be a multiple of 4'),
        (lambda: SimpleFeaturePyramid(32, num_outs=3), 'num_outs=3 must be 4 or 5'),
    ],
)
def test_bad_options_are_named(build, message):
    with pytest.raises(UserError, match=message):
        build()
