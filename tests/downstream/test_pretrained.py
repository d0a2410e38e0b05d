"""Requirement 2: a backbone is loaded completely from our and from published files, or refused in one line."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS

from eqssl.downstream import load_backbone, read_backbone
from eqssl.downstream.backbone_file import find_backbones
from eqssl.downstream.pretrained import resize_position_embedding
from eqssl.utils.errors import UserError
from tests.downstream import published
from tests.downstream.published import (
    DEPTH,
    DIM,
    GRID,
    HEADS,
    HIDDEN,
    PATCH,
    SIZES,
    loaded,
    randomized,
    saved,
    values,
    vit,
)

pytestmark = pytest.mark.usefixtures('registered')


def image(seed=0, side=GRID * PATCH):
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def with_registers(path, count, **options):
    """Our ViT with registers, and its tokens ``[B, 1 + N, D]`` for an image."""
    settings = dict(arch=dict(SIZES), img_size=GRID * PATCH, patch_size=PATCH, num_registers=count, **options)
    target = randomized(MODELS.build(dict(type='eqssl.VisionTransformer', **settings)), 5)
    sentence = load_backbone(target, path)
    (tokens,) = target(image())
    return target, sentence, torch.cat([tokens.cls[:, None], tokens.patch], dim=1)


# -- the same features as in the library that wrote the file ----------------------------------------------------


def test_timm_checkpoint_gives_timm_features(tmp_path):
    timm = pytest.importorskip('timm')
    source = timm.models.VisionTransformer(
        img_size=16, patch_size=4, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, num_classes=7, init_values=0.1
    )
    randomized(source)
    target, sentence = loaded(saved(tmp_path, source.state_dict()), layer_scale_init_value=0.1)
    torch.testing.assert_close(target(image())[0], source.forward_features(image()), rtol=1e-4, atol=1e-5)
    assert f'{6 + 14 * DEPTH} of {6 + 14 * DEPTH} tensors' in sentence


@pytest.mark.parametrize('embed_class', [False, True])
def test_timm_checkpoint_with_registers_gives_timm_features(tmp_path, embed_class):
    """In timm's DINOv2 neither class token nor registers have a position; in other networks of timm both do."""
    timm = pytest.importorskip('timm')
    source = timm.models.VisionTransformer(
        img_size=16, patch_size=4, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, num_classes=0, init_values=0.1,
        reg_tokens=3, no_embed_class=not embed_class,
    )  # fmt: skip
    path = saved(tmp_path, randomized(source).state_dict())
    _, sentence, got = with_registers(path, 3, layer_scale_init_value=0.1)
    want = source.forward_features(image())
    torch.testing.assert_close(got, torch.cat([want[:, :1], want[:, 4:]], 1), rtol=1e-4, atol=1e-5)
    assert f'{7 + 14 * DEPTH} of {7 + 14 * DEPTH} tensors' in sentence


def test_transformers_checkpoint_with_registers_gives_its_features(tmp_path):
    transformers = pytest.importorskip('transformers')
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, image_size=16, patch_size=PATCH,
        layer_norm_eps=1e-6, num_register_tokens=3,
    )  # fmt: skip
    source = randomized(transformers.Dinov2WithRegistersModel(config))
    source.save_pretrained(tmp_path)
    _, _, got = with_registers(str(tmp_path / 'model.safetensors'), 3, layer_scale_init_value=1.0)
    want = source(image()).last_hidden_state
    torch.testing.assert_close(got, torch.cat([want[:, :1], want[:, 4:]], 1), rtol=1e-4, atol=1e-5)


def test_torchvision_vit_checkpoint_gives_its_features(tmp_path):
    from torchvision.models import VisionTransformer

    source = randomized(VisionTransformer(16, PATCH, DEPTH, HEADS, DIM, HIDDEN, num_classes=5))
    target, _ = loaded(saved(tmp_path, source.state_dict()))
    tokens = torch.cat([source.class_token.expand(2, -1, -1), source._process_input(image())], dim=1)
    torch.testing.assert_close(target(image())[0], source.encoder(tokens), rtol=1e-4, atol=1e-5)


def test_torchvisions_published_files_have_older_names(tmp_path):
    from torchvision.models import VisionTransformer

    state = randomized(VisionTransformer(16, PATCH, DEPTH, HEADS, DIM, HIDDEN, num_classes=5)).state_dict()
    old = {k.replace('mlp.0.', 'mlp.linear_1.').replace('mlp.3.', 'mlp.linear_2.'): v for k, v in state.items()}
    target, _ = loaded(saved(tmp_path, old))
    torch.testing.assert_close(target.layers[2].ffn.layers[1].bias, state['encoder.layers.encoder_layer_2.mlp.3.bias'])


@pytest.mark.parametrize('kind', ['ViT', 'Dinov2'])
def test_transformers_checkpoint_gives_its_features(tmp_path, kind):
    transformers = pytest.importorskip('transformers')
    sizes = dict(
        hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, image_size=16, patch_size=PATCH,
        layer_norm_eps=1e-6,
    )  # fmt: skip
    if kind == 'ViT':
        source = transformers.ViTModel(
            transformers.ViTConfig(intermediate_size=HIDDEN, **sizes), add_pooling_layer=False
        )
    else:
        source = transformers.Dinov2Model(transformers.Dinov2Config(**sizes))
    randomized(source).save_pretrained(tmp_path)  # the hub's names; those in memory have changed since
    options = {} if kind == 'ViT' else {'layer_scale_init_value': 1.0}
    target, _ = loaded(str(tmp_path / 'model.safetensors'), **options)
    want = source(image()).last_hidden_state
    torch.testing.assert_close(target(image())[0], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('kind', ['ViT', 'Dinov2'])
def test_a_state_dict_of_transformers_in_memory_gives_its_features(tmp_path, kind):
    """transformers 5 calls its tensors otherwise in memory than in the files that it saves."""
    transformers = pytest.importorskip('transformers')
    sizes = dict(hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, image_size=16, patch_size=PATCH)
    config, model = getattr(transformers, f'{kind}Config'), getattr(transformers, f'{kind}Model')
    more = {'intermediate_size': HIDDEN} if kind == 'ViT' else {}
    source = randomized(model(config(layer_norm_eps=1e-6, **sizes, **more)))
    options = {} if kind == 'ViT' else {'layer_scale_init_value': 1.0}
    target, _ = loaded(saved(tmp_path, source.state_dict()), **options)
    want = source(image()).last_hidden_state
    torch.testing.assert_close(target(image())[0], want, rtol=1e-4, atol=1e-5)


def test_positions_of_a_network_with_registers_are_resized_as_transformers_does(tmp_path):
    """DINOv2 shrinks them with antialiasing where it has registers, and without it where it has none."""
    transformers = pytest.importorskip('transformers')
    sizes = dict(
        hidden_size=DIM, num_hidden_layers=DEPTH, num_attention_heads=HEADS, image_size=16 * PATCH, patch_size=PATCH,
        layer_norm_eps=1e-6,
    )  # fmt: skip
    source = randomized(transformers.Dinov2WithRegistersModel(
        transformers.Dinov2WithRegistersConfig(num_register_tokens=3, **sizes)
    ))  # fmt: skip
    source.save_pretrained(tmp_path)
    vit, _, got = with_registers(str(tmp_path / 'model.safetensors'), 3, layer_scale_init_value=1.0)
    want = source(image()).last_hidden_state
    torch.testing.assert_close(got, torch.cat([want[:, :1], want[:, 4:]], 1), rtol=1e-4, atol=1e-5)
    positions = source.embeddings.interpolate_pos_encoding(source.embeddings(image()), 16, 16)
    torch.testing.assert_close(vit.pos_embed, positions, rtol=1e-5, atol=1e-6)


def test_torchvision_resnet_checkpoint_gives_its_features(tmp_path):
    from mmpretrain.models import ResNet
    from torchvision.models import resnet18

    source = resnet18().eval()
    target = ResNet(18)
    target.eval()
    sentence = load_backbone(target, saved(tmp_path, source.state_dict()))
    x = torch.rand(1, 3, 64, 64)
    want = source.layer4(
        source.layer3(source.layer2(source.layer1(source.maxpool(source.relu(source.bn1(source.conv1(x)))))))
    )
    torch.testing.assert_close(target(x)[0], want)
    assert '120 of 120 tensors' in sentence and 'ResNet' in sentence


@pytest.mark.parametrize('kind', ['ResNetV1c', 'ResNetV1d'])
def test_resnets_with_a_deep_stem(tmp_path, kind):
    source = randomized(MODELS.build(dict(type=f'mmpretrain.{kind}', depth=50, base_channels=8, stem_channels=8)))
    target = MODELS.build(dict(type=f'mmpretrain.{kind}', depth=50, base_channels=8, stem_channels=8))
    state = {f'backbone.{k}': v for k, v in source.state_dict().items()}
    load_backbone(target, saved(tmp_path, {'state_dict': state}))
    for name, value in source.state_dict().items():
        assert value.equal(target.state_dict()[name]), name


# -- key lists ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('branch', ['student', 'teacher', None])
@pytest.mark.parametrize('masked', [False, True], ids=['dino', 'ibot'])
def test_dino_and_ibot_files(tmp_path, masked, branch):
    content = published.dino_checkpoint(masked)
    target, sentence = loaded(saved(tmp_path, content), branch)
    key = 'backbone.blocks.1.mlp.fc1.weight'
    want = content['student']['module.' + key] if branch == 'student' else content['teacher'][key]
    torch.testing.assert_close(target.layers[1].ffn.layers[0][0].weight, want)
    assert (branch or 'teacher') in sentence


@pytest.mark.parametrize('chunks', [False, True])
def test_dinov2_file(tmp_path, chunks):
    content = published.dinov2_backbone(chunks=chunks)
    model = MODELS.build(
        dict(type='eqssl.VisionTransformer', arch=dict(SIZES), img_size=16, patch_size=4, layer_scale_init_value=1.0)
    )
    load_backbone(model, saved(tmp_path, content), 'teacher')  # one plain backbone: it has no branches
    block = 'blocks.0.1.' if chunks else 'blocks.1.'
    torch.testing.assert_close(model.layers[1].attn.gamma1.weight, content[block + 'ls1.gamma'])
    torch.testing.assert_close(model.mask_token[0], content['mask_token'])


def test_layer_scale_as_ibots_code_and_deit_iii_name_it(tmp_path):
    scales = {f'blocks.{block}.gamma_{part}': (DIM,) for block in range(DEPTH) for part in (1, 2)}
    content = values(published.dino_keys() | scales)
    target, _ = loaded(saved(tmp_path, {'model': content}), layer_scale_init_value=1.0)
    torch.testing.assert_close(target.layers[1].attn.gamma1.weight, content['blocks.1.gamma_1'])
    torch.testing.assert_close(target.layers[2].ffn.gamma2.weight, content['blocks.2.gamma_2'])
    with pytest.raises(UserError, match='no place for: layers.0.*; set model.backbone.layer_scale_init_value$'):
        loaded(saved(tmp_path, {'model': content}))


def test_register_tokens_are_kept_or_refused(tmp_path):
    content = published.dinov2_backbone(registers=4)
    path = saved(tmp_path, content)
    target, _, _ = with_registers(path, 4, layer_scale_init_value=1.0)
    torch.testing.assert_close(target.register_tokens, content['register_tokens'])
    larger = MODELS.build(
        dict(type='eqssl.DenseViT', arch=dict(SIZES), img_size=32, patch_size=4, layer_scale_init_value=1.0,
             num_registers=4)
    )  # fmt: skip
    load_backbone(larger, path)
    torch.testing.assert_close(larger.register_tokens, content['register_tokens'])
    torch.testing.assert_close(larger.pos_embed[:, 0], content['pos_embed'][:, 0])
    with pytest.raises(UserError, match='register_tokens is .1, 4.* in the file and .1, 2'):
        with_registers(path, 2, layer_scale_init_value=1.0)
    with pytest.raises(UserError, match='missing: register_tokens'):
        with_registers(saved(tmp_path, published.dinov2_backbone(), 'none.pth'), 4, layer_scale_init_value=1.0)
    with pytest.raises(UserError, match='no place for: register_tokens; set model.backbone.num_registers$'):
        loaded(path, layer_scale_init_value=1.0)


def test_mae_file_without_its_decoder(tmp_path):
    content = published.mae_checkpoint()
    target, sentence = loaded(saved(tmp_path, content))
    torch.testing.assert_close(target.ln1.weight, content['model']['norm.weight'])
    assert f'{6 + 12 * DEPTH} of {6 + 12 * DEPTH}' in sentence


def test_mocov3_file(tmp_path):
    content = published.mocov3_checkpoint()
    for branch, name in (('teacher', 'momentum'), ('student', 'base')):
        target, _ = loaded(saved(tmp_path, content), branch)
        torch.testing.assert_close(target.cls_token, content['state_dict'][f'module.{name}_encoder.cls_token'])


def test_mmpretrain_file_with_a_momentum_network(tmp_path):
    online, momentum = vit(1), vit(2)
    state = {f'backbone.{k}': v for k, v in online.state_dict().items()}
    state |= {f'target_net.module.0.{k}': v for k, v in momentum.state_dict().items()}
    path = saved(tmp_path, {'state_dict': state, 'meta': {'epoch': 1}})
    torch.testing.assert_close(loaded(path, 'teacher')[0].pos_embed, momentum.pos_embed)
    torch.testing.assert_close(loaded(path, 'student')[0].pos_embed, online.pos_embed)


def test_every_backbone_of_a_file_is_found_once():
    places = [f.place for f in find_backbones(published.dino_checkpoint())]
    assert places == ['student: module.backbone.', 'teacher: backbone.']


# -- position embeddings -----------------------------------------------------------------------------------------


def test_position_embedding_keeps_its_tokens_and_interpolates_its_grid():
    old = torch.randn(1, 3 + 9, 5)
    new = resize_position_embedding(old, 3, (6, 4))
    want = F.interpolate(old[:, 3:].reshape(1, 3, 3, 5).permute(0, 3, 1, 2), size=(6, 4), mode='bicubic')
    torch.testing.assert_close(new[:, :3], old[:, :3], rtol=0, atol=0)
    torch.testing.assert_close(new[0, 3:], want[0].flatten(1).T)
    assert resize_position_embedding(old, 3, (3, 3)) is old


def test_a_grid_that_is_not_square_is_read_in_the_config_inside_and_else_taken_as_it_is(tmp_path):
    size = (13 * PATCH, 10 * PATCH)
    source = vit(1, img_size=size)
    bare = saved(tmp_path, source.state_dict())
    assert loaded(bare, img_size=size)[0].pos_embed.equal(source.pos_embed)
    with pytest.raises(UserError, match='has no square grid'):
        loaded(bare, img_size=(20 * PATCH, 20 * PATCH))
    content = {'state_dict': source.state_dict(), 'meta': {'backbone': repr(dict(img_size=size, patch_size=PATCH))}}
    got = loaded(saved(tmp_path, content), img_size=(20 * PATCH, 20 * PATCH))[0].pos_embed
    maps = source.pos_embed[:, 1:].reshape(1, 13, 10, DIM).permute(0, 3, 1, 2)
    want = F.interpolate(maps, size=(20, 20), mode='bicubic').flatten(2).transpose(1, 2)
    torch.testing.assert_close(got[:, 1:], want)


@pytest.mark.parametrize('grid', [(2, 8), (8, 2), (1, 16)])
def test_as_many_patches_in_another_grid_are_resized_too(tmp_path, grid):
    source, (rows, columns) = vit(1), grid
    target = loaded(saved(tmp_path, source.state_dict()), img_size=(rows * PATCH, columns * PATCH))[0]
    assert target.pos_embed.shape == source.pos_embed.shape
    want = resize_position_embedding(source.pos_embed, 1, grid)
    torch.testing.assert_close(target.pos_embed, want)
    assert not want.equal(source.pos_embed)
    wide = vit(2, img_size=(rows * PATCH, columns * PATCH))  # the same grid, as the config inside says
    inside = {'backbone': repr(dict(img_size=(rows * PATCH, columns * PATCH), patch_size=PATCH))}
    path = saved(tmp_path, {'state_dict': wide.state_dict(), 'meta': inside})
    again = loaded(path, img_size=(rows * PATCH, columns * PATCH))[0]
    torch.testing.assert_close(again.pos_embed, wide.pos_embed, rtol=0, atol=0)


def test_another_image_size_and_no_class_token(tmp_path):
    source = vit(1)
    path = saved(tmp_path, source.state_dict())
    wide = loaded(path, img_size=(8 * PATCH, 6 * PATCH))[0]
    assert wide.pos_embed.shape == (1, 49, DIM)
    torch.testing.assert_close(wide.pos_embed[:, 0], source.pos_embed[:, 0])
    bare = loaded(path, with_cls_token=False, out_type='featmap')[0]
    torch.testing.assert_close(bare.pos_embed, source.pos_embed[:, 1:])


def test_mmengines_ema_hook_swaps_the_names(tmp_path):
    """``EMAHook.before_save_checkpoint`` stores the average as ``state_dict``."""
    from mmengine.hooks import EMAHook

    model = torch.nn.Module()
    model.backbone = vit(seed=1)
    runner = SimpleNamespace(model=model, iter=0)
    hook = EMAHook(momentum=0.5)
    hook.before_run(runner)
    average = {k: v.clone() + 1 for k, v in hook.ema_model.module.state_dict().items()}
    hook.ema_model.module.load_state_dict(average)
    checkpoint = {'state_dict': {k: v.clone() for k, v in model.state_dict().items()}}
    hook.before_save_checkpoint(runner, checkpoint)
    path = saved(tmp_path, checkpoint)
    key = 'layers.1.attn.qkv.weight'
    for branch, want in (('teacher', average[f'backbone.{key}']), ('student', model.backbone.state_dict()[key]),
                         (None, average[f'backbone.{key}'])):  # fmt: skip
        target, _ = loaded(path, branch)
        torch.testing.assert_close(target.state_dict()[key], want)


def test_key_encoders_are_teachers(tmp_path):
    """MoCo's ResNets: ``encoder_q`` learns, ``encoder_k`` follows."""
    from torchvision.models import resnet18

    query, key = resnet18().state_dict(), resnet18().state_dict()
    content = {f'module.encoder_q.{k}': v for k, v in query.items()}
    content |= {f'module.encoder_k.{k}': v for k, v in key.items()}
    path = saved(tmp_path, {'state_dict': content})
    for branch, want in (('student', query), ('teacher', key)):
        torch.testing.assert_close(read_backbone(path, branch).state['conv1.weight'], want['conv1.weight'])
