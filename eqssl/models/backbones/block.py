"""One transformer block: mmpretrain's parameters and names, an order of work that compiles into one graph."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): a branch is left out for a sample, or divided by the share that is kept.

    The probability is a tensor, so that blocks of different probability are one compiled graph, and is drawn and
    applied in float32 also under autocast.

    Args:
        drop_prob: probability of leaving a branch out, (0, 1).
    """

    keep: Tensor

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob
        self.register_buffer('keep', torch.tensor(1 - drop_prob, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, ...]`` to the same shape; the identity in eval mode."""
        if not self.training:
            return x
        drawn = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device)
        return x * ((self.keep + drawn).floor() / self.keep)


def _drop_path(layer: nn.Module) -> nn.Module:
    """In place of mmcv's."""
    drop_prob = getattr(layer, 'drop_prob', 0.0)
    return DropPath(drop_prob) if drop_prob else nn.Identity()


class Block(TransformerEncoderLayer):
    """Pre-norm attention and MLP, ``[n, N, D]`` to ``[n, N, D]``; keys and initialization are mmpretrain's.

    mmpretrain's own forward compiles into 19 graphs: its float probabilities differ by block, and mmcv's FFN looks at
    its own signature in every call.

    Args:
        layer: mmpretrain's, whose modules are taken over.
    """

    def __init__(self, layer: TransformerEncoderLayer) -> None:
        BaseModule.__init__(self, layer.init_cfg)
        self.embed_dims = layer.embed_dims
        self.ln1, self.attn, self.ln2, self.ffn = layer.ln1, layer.attn, layer.ln2, layer.ffn
        self.attn.out_drop, self.ffn.dropout_layer = _drop_path(self.attn.out_drop), _drop_path(self.ffn.dropout_layer)
        self.train(layer.training)

    def _attend(self, x: Tensor) -> Tensor:
        attn, (n, tokens, _) = self.attn, x.shape
        q, k, v = attn.qkv(x).reshape(n, tokens, 3, attn.num_heads, attn.head_dims).permute(2, 0, 3, 1, 4).unbind()
        dropout = attn.attn_drop if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        x = attn.proj(mixed.transpose(1, 2).reshape(n, tokens, attn.embed_dims))
        return attn.out_drop(attn.gamma1(attn.proj_drop(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Both branches, each added to what it was given."""
        x = x + self._attend(self.ln1(x))
        return x + self.ffn.dropout_layer(self.ffn.gamma2(self.ffn.layers(self.ln2(x))))
