"""Projection and prediction MLPs."""

from __future__ import annotations

import torch.nn as nn

from eqssl.utils.errors import UserError

OUT_NORMS = ('none', 'bn', 'bn_fixed')


def mlp(
    in_channels: int,
    hidden: int,
    out_channels: int,
    layers: int = 2,
    norm: bool = True,
    out_norm: str = 'none',
    out_bias: bool = True,
) -> nn.Sequential:
    """Linear layers with batch norm and ReLU between them.

    Args:
        in_channels, hidden, out_channels: widths.
        layers: number of linear layers; 1 is a linear map.
        norm: batch norm after hidden layers (which then have no bias).
        out_norm: after the last layer: 'none', 'bn', or 'bn_fixed' (no affine parameters).
        out_bias: bias of the last layer; a batch norm behind it makes it superfluous.
    """
    if layers < 1 or out_norm not in OUT_NORMS:
        raise UserError(f'layers={layers} must be at least 1, out_norm={out_norm!r} one of {", ".join(OUT_NORMS)}')
    modules: list[nn.Module] = []
    for i in range(layers - 1):
        modules.append(nn.Linear(in_channels if i == 0 else hidden, hidden, bias=not norm))
        modules += [nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)] if norm else [nn.ReLU(inplace=True)]
    modules.append(nn.Linear(hidden if layers > 1 else in_channels, out_channels, bias=out_bias and out_norm == 'none'))
    if out_norm != 'none':
        modules.append(nn.BatchNorm1d(out_channels, affine=out_norm == 'bn'))
    return nn.Sequential(*modules)
