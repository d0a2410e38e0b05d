"""Auxiliary tasks for tests, on any base method."""

from __future__ import annotations

import copy
from typing import Any

from tests.helpers import BASES, base_config, batch

DECODER = dict(type='eqssl.ReconDecoder', width=16, channels=(16, 8, 8))
# name -> (config, extra backbone calls on a ViT beside simclr: groups of another size, or passes of their own)
TASKS = {
    'recon': (dict(type='eqssl.IntermediateRecon', path=dict(type='eqssl.SE2'), decoder=DECODER), 0),
    'cross': (dict(type='eqssl.CrossAttnRecon', decoder=DECODER), 0),
    'cross_free': (
        dict(type='eqssl.CrossAttnRecon', decoder=DECODER, learnable=False, target='both', residual=True), 0
    ),
    'rotation': (dict(type='eqssl.RotationTask', head=dict(type='eqssl.RotationHead', hidden=16)), 1),
    'rotation_paper': (
        dict(type='eqssl.RotationTask', scale=1.0, features='backbone',
             head=dict(type='eqssl.RotationHead', hidden=16)), 0
    ),
    'rotation_own_layers': (
        dict(type='eqssl.RotationTask', features='backbone', shared_stages=1, angles=8,
             head=dict(type='eqssl.RotationHead', hidden=16, loss='supcon')), 1
    ),
    'jigsaw': (dict(type='eqssl.JigsawTask', scale=1.0, permutations=6, patch=4, hidden=8), 1),
    'topk': (dict(type='eqssl.AdaptiveTopK', share=0.34), 1),
    'sie': (dict(type='eqssl.SIETask', path=dict(type='eqssl.Rotation'), hidden=16, out_dim=8), 0),
    'sie_views': (dict(type='eqssl.SIETask', hidden=16, out_dim=8), 0),
    'augself': (dict(type='eqssl.AugSelfTask', fields=('crop', 'flip', 'color', 'blur'), hidden=16), 0),
    'equimod': (dict(type='eqssl.EquiModTask', hidden=16, out_dim=8, condition_dims=8), 0),
}  # fmt: skip
NECK = dict(type='eqssl.SplitNeck', out_channels=36, equi_dims=16)


def with_tasks(base: str, *names: str, weight: float = 1.0) -> dict[str, Any]:
    """A base method with some of the tasks and a neck."""
    config = base_config(base)
    config['neck'] = dict(NECK)
    config['auxiliary'] = {name: {**copy.deepcopy(TASKS[name][0]), 'weight': weight} for name in names}
    return config


def data(base: str, start: int = 0) -> dict[str, Any]:
    """Six images with the views that a base method takes."""
    return batch(6, start, local=BASES[base][1])
