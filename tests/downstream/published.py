"""State dicts as they are published: real key lists and shapes (small networks, random values).

DINO, iBOT, DINOv2 and MAE name their tensors as written here (read in their repositories' vision_transformer.py); timm,
torchvision, transformers and mmpretrain build the real network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from eqssl.downstream import load_backbone

DIM, DEPTH, HEADS, HIDDEN, PATCH, GRID = 24, 3, 2, 96, 4, 4  # 16 px
SIZES = dict(embed_dims=DIM, num_layers=DEPTH, num_heads=HEADS, feedforward_channels=HIDDEN)


def vit(seed: int = 0, **options):
    """mmpretrain's ViT with random weights everywhere (also where the library starts with zeros or ones)."""
    from mmpretrain.models import VisionTransformer

    settings = dict(arch=dict(SIZES), img_size=GRID * PATCH, patch_size=PATCH, out_type='raw')
    return randomized(VisionTransformer(**{**settings, **options}), seed)


def randomized(module, seed: int = 0):
    """Random values in every tensor of a module, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in [*module.parameters(), *module.buffers()]:
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) * 0.5 + 0.1)
    module.eval()  # mmpretrain's returns None
    return module


def dino_keys(depth: int = DEPTH, chunks: bool = False) -> dict[str, tuple[int, ...]]:
    """facebookresearch/dino, vision_transformer.py: names and shapes."""
    shapes = {
        'cls_token': (1, 1, DIM),
        'pos_embed': (1, GRID * GRID + 1, DIM),
        'patch_embed.proj.weight': (DIM, 3, PATCH, PATCH),
        'patch_embed.proj.bias': (DIM,),
        'norm.weight': (DIM,),
        'norm.bias': (DIM,),
    }
    for i in range(depth):
        block = f'blocks.{i // 2}.{i}.' if chunks else f'blocks.{i}.'
        shapes |= {
            f'{block}norm1.weight': (DIM,), f'{block}norm1.bias': (DIM,),
            f'{block}attn.qkv.weight': (3 * DIM, DIM), f'{block}attn.qkv.bias': (3 * DIM,),
            f'{block}attn.proj.weight': (DIM, DIM), f'{block}attn.proj.bias': (DIM,),
            f'{block}norm2.weight': (DIM,), f'{block}norm2.bias': (DIM,),
            f'{block}mlp.fc1.weight': (HIDDEN, DIM), f'{block}mlp.fc1.bias': (HIDDEN,),
            f'{block}mlp.fc2.weight': (DIM, HIDDEN), f'{block}mlp.fc2.bias': (DIM,),
        }  # fmt: skip
    return shapes


def values(shapes: dict[str, tuple[int, ...]], seed: int = 0, prefix: str = '') -> dict[str, Tensor]:
    """Random tensors of these shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {prefix + name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


def dino_checkpoint(masked: bool = False) -> dict:
    """main_dino.py's and main_ibot.py's file; ``args`` is their command line."""
    shapes = dino_keys() | ({'masked_embed': (1, DIM)} if masked else {})
    head = {'head.mlp.0.weight': (8, DIM), 'head.last_layer.weight_v': (4, 8)}
    return {
        'student': values(shapes, 1, 'module.backbone.') | values(head, 1, 'module.'),
        'teacher': values(shapes, 2, 'backbone.') | values(head, 2),
        'optimizer': {'state': {}},
        'epoch': 100,
        'args': argparse.Namespace(arch='vit_small', output_dir=Path('work')),
    }


def dinov2_backbone(registers: int = 0, chunks: bool = False) -> dict[str, Tensor]:
    """The hub's flat file (dinov2_vits14_pretrain.pth): mask token ``[1, D]``, layer scale, perhaps registers."""
    shapes = dino_keys(chunks=chunks) | {'mask_token': (1, DIM)}
    for name in list(shapes):
        if name.endswith('norm1.weight'):
            block = name.removesuffix('norm1.weight')
            shapes |= {f'{block}ls1.gamma': (DIM,), f'{block}ls2.gamma': (DIM,)}
    if registers:
        shapes['register_tokens'] = (1, registers, DIM)
    return values(shapes)


def mae_checkpoint() -> dict:
    """mae_pretrain_vit_*_full: encoder and decoder side by side; the mask token is the decoder's."""
    decoder = {
        'mask_token': (1, 1, 16), 'decoder_pos_embed': (1, GRID * GRID + 1, 16),
        'decoder_embed.weight': (16, DIM), 'decoder_embed.bias': (16,),
        'decoder_blocks.0.norm1.weight': (16,), 'decoder_norm.weight': (16,), 'decoder_pred.weight': (48, 16),
    }  # fmt: skip
    return {'model': values(dino_keys() | decoder), 'args': argparse.Namespace(model='mae_vit_base')}


def mocov3_checkpoint() -> dict:
    """facebookresearch/moco-v3: a DataParallel model with base and momentum encoders."""
    keys = dino_keys() | {'head.0.weight': (8, DIM)}
    return {
        'epoch': 300,
        'arch': 'vit_small',
        'state_dict': values(keys, 1, 'module.base_encoder.') | values(keys, 2, 'module.momentum_encoder.'),
    }


def saved(tmp_path, content, name='file.pth'):
    torch.save(content, tmp_path / name)
    return str(tmp_path / name)


def loaded(path, branch=None, **options):
    """A ViT with the file's weights, and the sentence that tells how many."""
    target = vit(seed=5, **options)
    sentence = load_backbone(target, path, branch)
    return target, sentence
