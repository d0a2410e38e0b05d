"""Requirement 3: one layer-decay constructor for every library that has a ``backbone``."""

from __future__ import annotations

import pytest
from mmengine.optim import build_optim_wrapper
from torch import nn

from eqssl.downstream import DenseViT
from eqssl.engine.optimizers.constructor import group_table
from tests.downstream.published import DEPTH, PATCH, SIZES, vit

pytestmark = pytest.mark.usefixtures('registered')
OPTIM = dict(
    type='OptimWrapper',
    constructor='eqssl.OptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.5, decay_tokens=False),
)


class Segmentor(nn.Module):
    """What mmseg's EncoderDecoder and mmdet's detectors are to the constructor: a backbone and heads."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.decode_head = nn.Conv2d(24, 3, 1)


@pytest.mark.parametrize('kind', ['mmpretrain', 'dense'])
def test_rates_and_decay_of_every_parameter(kind):
    backbone = vit(out_type='featmap') if kind == 'mmpretrain' else DenseViT(
        arch=dict(SIZES), img_size=16, patch_size=PATCH, num_registers=2
    )  # fmt: skip
    model = Segmentor(backbone)
    wrapper = build_optim_wrapper(model, OPTIM)
    assert type(wrapper).__name__ == 'OptimWrapper'
    names = {id(p): n for n, p in model.named_parameters()}
    seen = {}
    for group in wrapper.optimizer.param_groups:
        for p in group['params']:
            seen[names[id(p)]] = (group['lr'], group['weight_decay'])
    assert set(seen) == set(names.values())
    for name, (rate, decay) in seen.items():
        layer = 0
        if name.startswith('backbone.layers.'):
            layer = int(name.split('.')[2]) + 1
        elif name.startswith(('backbone.ln1', 'decode_head')):
            layer = DEPTH + 1
        assert rate == pytest.approx(1e-4 * 0.5 ** (DEPTH + 1 - layer)), name
        bare = name.endswith(('.bias', 'cls_token', 'pos_embed', 'register_tokens')) or 'ln' in name
        assert decay == (0.0 if bare else 0.05), name
    table = group_table(model, wrapper.optimizer.param_groups, OPTIM['optimizer']).splitlines()
    assert table[0].split()[:3] == ['lr', 'weight', 'decay'] and len(table) == 2 + len(wrapper.optimizer.param_groups)
    assert table[2].split()[:2] == ['6.25e-06', '0'] and 'backbone.cls_token' in table[2]
    assert 'decode_head.weight' in table[-1] and sum(int(line.split()[2]) for line in table[2:]) == len(seen)
