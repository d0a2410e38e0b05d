"""What one backbone's tensors are called by those who publish weights, and by mmpretrain.

Facts read off the published state dicts. A table pairs names, mmpretrain's first; ``{i}`` is a block's number and a
trailing ``*`` stands for ``weight`` and ``bias``. Each table is read in both directions: for loading and for export.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

Pairs = tuple[tuple[str, str], ...]

MMPRETRAIN: Pairs = (
    ('cls_token', 'cls_token'),
    ('pos_embed', 'pos_embed'),
    ('mask_token', 'mask_token'),
    ('register_tokens', 'register_tokens'),
    ('patch_embed.projection.*', 'patch_embed.projection.*'),
    ('pre_norm.*', 'pre_norm.*'),
    ('layers.{i}.ln1.*', 'layers.{i}.ln1.*'),
    ('layers.{i}.attn.qkv.*', 'layers.{i}.attn.qkv.*'),
    ('layers.{i}.attn.proj.*', 'layers.{i}.attn.proj.*'),
    ('layers.{i}.attn.gamma1.weight', 'layers.{i}.attn.gamma1.weight'),
    ('layers.{i}.ln2.*', 'layers.{i}.ln2.*'),
    ('layers.{i}.ffn.layers.0.0.*', 'layers.{i}.ffn.layers.0.0.*'),
    ('layers.{i}.ffn.layers.1.*', 'layers.{i}.ffn.layers.1.*'),
    ('layers.{i}.ffn.gamma2.weight', 'layers.{i}.ffn.gamma2.weight'),
    ('ln1.*', 'ln1.*'),
)
# DINO, iBOT (masked_embed), DINOv2 (mask_token, register_tokens, blocks in chunks), MAE, MoCo v3, timm (reg_token)
TIMM: Pairs = (
    ('cls_token', 'cls_token'),
    ('pos_embed', 'pos_embed'),
    ('mask_token', 'mask_token'),
    ('mask_token', 'masked_embed'),
    ('register_tokens', 'reg_token'),
    ('register_tokens', 'register_tokens'),
    ('patch_embed.projection.*', 'patch_embed.proj.*'),
    ('pre_norm.*', 'norm_pre.*'),
    ('layers.{i}.ln1.*', 'blocks.{i}.norm1.*'),
    ('layers.{i}.attn.qkv.*', 'blocks.{i}.attn.qkv.*'),
    ('layers.{i}.attn.proj.*', 'blocks.{i}.attn.proj.*'),
    ('layers.{i}.attn.gamma1.weight', 'blocks.{i}.ls1.gamma'),
    ('layers.{i}.ln2.*', 'blocks.{i}.norm2.*'),
    ('layers.{i}.ffn.layers.0.0.*', 'blocks.{i}.mlp.fc1.*'),
    ('layers.{i}.ffn.layers.1.*', 'blocks.{i}.mlp.fc2.*'),
    ('layers.{i}.ffn.gamma2.weight', 'blocks.{i}.ls2.gamma'),
    ('layers.{i}.attn.gamma1.weight', 'blocks.{i}.gamma_1'),  # layer scale in iBOT's code and DeiT III
    ('layers.{i}.ffn.gamma2.weight', 'blocks.{i}.gamma_2'),
    ('ln1.*', 'norm.*'),
)
TORCHVISION: Pairs = (
    ('cls_token', 'class_token'),
    ('pos_embed', 'encoder.pos_embedding'),
    ('patch_embed.projection.*', 'conv_proj.*'),
    ('layers.{i}.ln1.*', 'encoder.layers.encoder_layer_{i}.ln_1.*'),
    ('layers.{i}.attn.qkv.weight', 'encoder.layers.encoder_layer_{i}.self_attention.in_proj_weight'),
    ('layers.{i}.attn.qkv.bias', 'encoder.layers.encoder_layer_{i}.self_attention.in_proj_bias'),
    ('layers.{i}.attn.proj.*', 'encoder.layers.encoder_layer_{i}.self_attention.out_proj.*'),
    ('layers.{i}.ln2.*', 'encoder.layers.encoder_layer_{i}.ln_2.*'),
    ('layers.{i}.ffn.layers.0.0.*', 'encoder.layers.encoder_layer_{i}.mlp.0.*'),
    ('layers.{i}.ffn.layers.1.*', 'encoder.layers.encoder_layer_{i}.mlp.3.*'),
    ('layers.{i}.ffn.layers.0.0.*', 'encoder.layers.encoder_layer_{i}.mlp.linear_1.*'),  # the published files
    ('layers.{i}.ffn.layers.1.*', 'encoder.layers.encoder_layer_{i}.mlp.linear_2.*'),
    ('ln1.*', 'encoder.ln.*'),
)
# transformers: ViT and Dinov2; query, key and value are fused on the way in and split on the way out. The second
# name of a tensor is the one that transformers 5 has in memory (model.state_dict()); save_pretrained writes the first.
HF_VIT: Pairs = (
    ('cls_token', 'embeddings.cls_token'),
    ('pos_embed', 'embeddings.position_embeddings'),
    ('mask_token', 'embeddings.mask_token'),
    ('patch_embed.projection.*', 'embeddings.patch_embeddings.projection.*'),
    ('layers.{i}.ln1.*', 'encoder.layer.{i}.layernorm_before.*'),
    ('layers.{i}.attn.qkv.*', 'encoder.layer.{i}.attention.attention.qkv.*'),
    ('layers.{i}.attn.proj.*', 'encoder.layer.{i}.attention.output.dense.*'),
    ('layers.{i}.ln2.*', 'encoder.layer.{i}.layernorm_after.*'),
    ('layers.{i}.ffn.layers.0.0.*', 'encoder.layer.{i}.intermediate.dense.*'),
    ('layers.{i}.ffn.layers.1.*', 'encoder.layer.{i}.output.dense.*'),
    ('layers.{i}.ln1.*', 'layers.{i}.layernorm_before.*'),
    ('layers.{i}.attn.qkv.*', 'layers.{i}.attention.qkv.*'),
    ('layers.{i}.attn.proj.*', 'layers.{i}.attention.o_proj.*'),
    ('layers.{i}.ln2.*', 'layers.{i}.layernorm_after.*'),
    ('layers.{i}.ffn.layers.0.0.*', 'layers.{i}.mlp.fc1.*'),
    ('layers.{i}.ffn.layers.1.*', 'layers.{i}.mlp.fc2.*'),
    ('ln1.*', 'layernorm.*'),
)
HF_DINOV2: Pairs = (
    ('cls_token', 'embeddings.cls_token'),
    ('pos_embed', 'embeddings.position_embeddings'),
    ('mask_token', 'embeddings.mask_token'),
    ('register_tokens', 'embeddings.register_tokens'),
    ('patch_embed.projection.*', 'embeddings.patch_embeddings.projection.*'),
    ('layers.{i}.ln1.*', 'encoder.layer.{i}.norm1.*'),
    ('layers.{i}.attn.qkv.*', 'encoder.layer.{i}.attention.attention.qkv.*'),
    ('layers.{i}.attn.proj.*', 'encoder.layer.{i}.attention.output.dense.*'),
    ('layers.{i}.attn.qkv.*', 'encoder.layer.{i}.attention.qkv.*'),
    ('layers.{i}.attn.proj.*', 'encoder.layer.{i}.attention.o_proj.*'),
    ('layers.{i}.attn.gamma1.weight', 'encoder.layer.{i}.layer_scale1.lambda1'),
    ('layers.{i}.ln2.*', 'encoder.layer.{i}.norm2.*'),
    ('layers.{i}.ffn.layers.0.0.*', 'encoder.layer.{i}.mlp.fc1.*'),
    ('layers.{i}.ffn.layers.1.*', 'encoder.layer.{i}.mlp.fc2.*'),
    ('layers.{i}.ffn.gamma2.weight', 'encoder.layer.{i}.layer_scale2.lambda1'),
    ('ln1.*', 'layernorm.*'),
)
# What may stand beside a backbone under its prefix: heads, and decoders of masked image models.
BESIDE = re.compile(
    r'(heads?|fc|fc_norm|classifier|pooler|pre_logits|last_linear|projection_head|projector|predictor|prototypes|neck'
    r'|decoder_\w+)(\.|$)'
)
RESNET_KEY = re.compile(r'(conv1|bn1|stem(\.\w+)*|layer\d+\.\d+\.[\w.]+)\.\w+$')


@dataclass(frozen=True)
class Family:
    """A naming scheme.

    Attributes:
        title: for messages.
        kind: 'ViT' or 'ResNet'.
        anchor: a tensor that every backbone of the family has, by which one is found in a file.
        pairs: of names; empty where the names are mmpretrain's own.
        telltale: part of a name that tells the family from another one with the same anchor.
    """

    title: str
    kind: str
    anchor: str
    pairs: Pairs = ()
    telltale: str = ''


FAMILIES = (
    Family('mmpretrain ViT', 'ViT', 'patch_embed.projection.weight', MMPRETRAIN),
    Family('DINO, iBOT, DINOv2, MAE or timm ViT', 'ViT', 'patch_embed.proj.weight', TIMM),
    Family('torchvision ViT', 'ViT', 'conv_proj.weight', TORCHVISION),
    Family('transformers Dinov2', 'ViT', 'embeddings.patch_embeddings.projection.weight', HF_DINOV2, '.norm1.'),
    Family('transformers ViT', 'ViT', 'embeddings.patch_embeddings.projection.weight', HF_VIT, '.layernorm_before.'),
    Family('ResNet', 'ResNet', 'layer1.0.conv1.weight'),
)


@cache
def _patterns(pairs: Pairs, outward: bool) -> tuple[tuple[re.Pattern, str], ...]:
    found = []
    for mm, other in pairs:
        source, target = (mm, other) if outward else (other, mm)
        pattern = re.escape(source).replace(r'\{i\}', r'(?P<i>\d+)').replace(r'\*', r'(?P<end>weight|bias)')
        found.append((re.compile(pattern), target))
    return tuple(found)


def translate(key: str, pairs: Pairs, outward: bool = False) -> str | None:
    """A tensor's name in the other scheme, or None where the table has none.

    Args:
        key: name without prefix.
        pairs: a table.
        outward: from mmpretrain's name to the other one.
    """
    for pattern, target in _patterns(pairs, outward):
        match = pattern.fullmatch(key)
        if match:
            parts = match.groupdict()
            return target.replace('{i}', parts.get('i') or '').replace('*', parts.get('end') or '')
    return None


QKV = (('query', 'key', 'value'), ('q_proj', 'k_proj', 'v_proj'))  # as saved, and in the memory of transformers 5


def fuse_qkv(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' query, key and value ``[D, D]`` as one ``qkv`` ``[3 D, D]``; other entries unchanged."""
    fused = dict(state)
    for key in state:
        for names in QKV:
            if f'.attention.{names[0]}.' in key:
                parts = [key.replace(f'.{names[0]}.', f'.{name}.') for name in names]
                if all(part in state for part in parts):
                    fused[key.replace(f'.{names[0]}.', '.qkv.')] = torch.cat([fused.pop(part) for part in parts])
    return fused


def split_qkv(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of :func:`fuse_qkv`."""
    split = {}
    for key, value in state.items():
        if '.attention.qkv.' in key:
            for name, part in zip(('query', 'key', 'value'), value.chunk(3), strict=True):
                split[key.replace('.qkv.', f'.{name}.')] = part.clone()
        else:
            split[key] = value
    return split
