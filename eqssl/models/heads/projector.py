"""The projection head of DINO and iBOT."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from eqssl.utils.precision import float32_island, precise


class PrototypeLayer(nn.Module):
    """Weight-normalized linear layer without bias: logits = x . (g v / ||v||) (Salimans & Kingma 2016).

    Parameter names are those of the official checkpoints. ``fixed_norm`` keeps g = 1.
    """

    def __init__(self, in_features: int, out_features: int, fixed_norm: bool) -> None:
        super().__init__()
        self.weight_v = nn.Parameter(torch.empty(out_features, in_features))
        self.weight_g = nn.Parameter(torch.ones(out_features, 1), requires_grad=not fixed_norm)
        nn.init.trunc_normal_(self.weight_v, std=0.02)

    def weight(self, columns: slice = slice(None)) -> Tensor:
        """Normalized weights of some outputs, ``[k, in]``, float32."""
        with float32_island(self.weight_v.device):
            return F.normalize(precise(self.weight_v[columns]), dim=1) * precise(self.weight_g[columns])

    def forward(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """``[..., in]`` to ``[..., k]``."""
        return F.linear(x, self.weight(columns).to(x.dtype))


class Projector(nn.Module):
    """MLP with GELU to an L2-normalized bottleneck, then prototypes (DINO, appendix C).

    Args:
        in_channels: width of the tokens.
        hidden: width of the hidden layers.
        bottleneck: width in front of the prototypes.
        out_dim: number of prototypes.
        layers: linear layers before the prototypes (3: in - hidden - hidden - bottleneck).
        norm_last_layer: fix the norm of the prototypes (stabler, slightly worse; iBOT: off for ViT-S, on for B and L).
        use_bn: batch norm after the hidden layers (DINO with ResNets).
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int = 2048,
        bottleneck: int = 256,
        out_dim: int = 8192,
        layers: int = 3,
        norm_last_layer: bool = True,
        use_bn: bool = False,
    ) -> None:
        super().__init__()
        widths = [in_channels] + [hidden] * (layers - 1) + [bottleneck]
        modules: list[nn.Module] = []
        for i, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            linear = nn.Linear(a, b)
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
            modules.append(linear)
            if i < layers - 1:
                modules += [nn.BatchNorm1d(b), nn.GELU()] if use_bn else [nn.GELU()]
        self.mlp = nn.Sequential(*modules)
        self.last_layer = PrototypeLayer(bottleneck, out_dim, norm_last_layer)

    def embed(self, x: Tensor) -> Tensor:
        """``[..., in]`` to the L2-normalized bottleneck ``[..., bottleneck]``, normalized in float32."""
        x = self.mlp(x)
        with float32_island(x.device):
            return F.normalize(precise(x), dim=-1, eps=1e-6).to(x.dtype)

    def forward(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """``[..., in]`` to prototype logits ``[..., k]``."""
        return self.last_layer(self.embed(x), columns)
