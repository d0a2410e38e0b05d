"""A second backbone that shares its first stages with the student."""

from __future__ import annotations

import copy
from typing import Any

import torch.nn as nn

from eqssl.utils.errors import UserError


def _stem_and_stages(backbone: Any) -> tuple[list[Any], list[nn.Module]]:
    """What lies before the stages, and the stages (residual layers of a ResNet, blocks of a ViT)."""
    if hasattr(backbone, 'res_layers'):
        stages = [getattr(backbone, name) for name in backbone.res_layers]
        return [m for m in backbone.children() if m not in stages], stages
    if hasattr(backbone, 'layers') and hasattr(backbone, 'patch_embed'):
        stem = [backbone.patch_embed, backbone.cls_token, backbone.pos_embed, backbone.mask_token]
        return stem, list(backbone.layers)
    raise UserError(f'model.backbone {type(backbone).__name__} has no stages to share; leave shared_stages out')


def partial_copy(backbone: Any, shared: int, key: str) -> Any:
    """A copy whose stem and first ``shared`` stages are the student's own modules; later ones are copies.

    Args:
        backbone: the student's.
        shared: number of stages or blocks, from 0 to all of them.
        key: config key, for the message.
    """
    stem, stages = _stem_and_stages(backbone)
    if not 0 <= shared <= len(stages):
        raise UserError(f'{key}={shared}, but the backbone has {len(stages)} stages; choose 0 to {len(stages)}')
    memo = {id(part): part for part in (*stem, *stages[:shared])}
    branch = copy.deepcopy(backbone, memo)
    for parameter, own in zip(branch.parameters(), backbone.parameters(), strict=True):
        if parameter is not own:
            parameter.requires_grad_(own.requires_grad)
    return branch
