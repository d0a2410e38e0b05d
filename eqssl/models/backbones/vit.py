"""Vision transformer on lists of size groups, with mask token; the state_dict is mmpretrain's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import ModuleList
from torch import Tensor

from eqssl.registry import MODELS
from eqssl.structures import Tokens
from eqssl.utils import counters
from eqssl.utils.errors import UserError

with warnings.catch_warnings():  # mmcv without compiled ops warns; pre-training needs none (tools/check_env.py tells)
    warnings.simplefilter('ignore')
    from mmpretrain.models import VisionTransformer as MMVisionTransformer

    from eqssl.models.backbones.block import Block
from eqssl.utils.precision import float32_island


@MODELS.register_module()
class VisionTransformer(MMVisionTransformer):
    """mmpretrain's ViT with a mask token, several crop sizes and CLS + patch tokens out.

    The keys of its state_dict are those of ``mmpretrain.VisionTransformer`` plus ``mask_token``, so a checkpoint loads
    in every mmpretrain, mmseg and mmdet config that uses that class. ``arch='deit-small'`` is the usual ViT-S
    (mmpretrain's 'small' is 768 wide).

    Args:
        arch: a name of mmpretrain's arch zoo or dict(embed_dims, num_layers, num_heads, feedforward_channels).
        img_size: side of the global crops; the position embedding has its grid.
        patch_size: side of a patch.
        drop_path_rate: of the last block, linear from 0 (student only; the teacher runs in eval mode).
        drop_rate: dropout after embedding, attention and MLP.
        layer_scale_init_value: 0 for none.
        frozen_stages: blocks frozen from the front, -1 for none.
        freeze_patch_embed: keep the random patch embedding (MoCo v3, section 4.2).
        num_registers: register tokens (Darcet et al. 2024; DINOv2's published weights have 4), which stand between
            class token and patches, have no position, and are no output.
        init_cfg: mmengine's.
    """

    def __init__(
        self,
        arch: str | dict = 'deit-small',
        img_size: int = 224,
        patch_size: int = 16,
        drop_path_rate: float = 0.0,
        drop_rate: float = 0.0,
        layer_scale_init_value: float = 0.0,
        frozen_stages: int = -1,
        freeze_patch_embed: bool = False,
        num_registers: int = 0,
        init_cfg: dict | None = None,
    ) -> None:
        if img_size % patch_size:
            raise UserError(f'img_size={img_size} is not a multiple of patch_size={patch_size}; change one of them')
        try:
            super().__init__(
                arch=arch,
                img_size=img_size,
                patch_size=patch_size,
                drop_path_rate=drop_path_rate,
                drop_rate=drop_rate,
                out_type='raw',
                layer_scale_init_value=layer_scale_init_value,
                frozen_stages=frozen_stages,
                init_cfg=init_cfg,
            )
        except AssertionError as error:
            raise UserError(f'{error}') from error
        self.layers: ModuleList = ModuleList([Block(layer) for layer in self.layers])
        self.patch_size = patch_size
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        if num_registers < 0:
            raise UserError(f'num_registers={num_registers} must not be negative')
        self.num_registers = num_registers
        if num_registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, num_registers, self.embed_dims))
            self.register_tokens.requires_grad_(frozen_stages <= 0)
        self.freeze_patch_embed = freeze_patch_embed
        if freeze_patch_embed:
            self.patch_embed.requires_grad_(False)
        self._resize_matrices: dict[tuple, Tensor] = {}

    def init_weights(self) -> None:
        """Linear layers and embeddings truncated normal with std 0.02, as DINO and iBOT; mask token 0."""
        super().init_weights()
        if isinstance(self.init_cfg, dict) and self.init_cfg.get('type') == 'Pretrained':
            return
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        if self.num_registers:
            nn.init.normal_(self.register_tokens, std=1e-6)
        if self.freeze_patch_embed:  # for good, so as MoCo v3 has it: Xavier over all inputs of a patch
            weight = self.patch_embed.projection.weight
            limit = (6 / (weight[0].numel() + len(weight))) ** 0.5
            nn.init.uniform_(weight, -limit, limit)
            nn.init.zeros_(self.patch_embed.projection.bias)

    def _freeze_stages(self) -> None:
        """As mmpretrain's, which does not know register tokens (and is called before they exist)."""
        super()._freeze_stages()
        if hasattr(self, 'register_tokens'):
            self.register_tokens.requires_grad_(False)

    def train(self, mode: bool = True) -> VisionTransformer:
        """As every module's, frozen blocks in eval mode, returning the module (mmpretrain's returns None)."""
        super().train(mode)
        if mode and self.frozen_stages > 0:
            self._freeze_stages()
        return self

    def _resize_matrix(self, grid: tuple[int, int], like: Tensor) -> Tensor:
        """Bicubic resizing of the position grid as a matrix ``[n_new, n_old]``: computed once per size, then cached.

        Interpolation is linear in the embedding, so one small product per forward replaces it, gradient included.
        """
        key = (grid, like.device, like.dtype)
        if key not in self._resize_matrices:
            old = tuple(self.patch_resolution)
            basis = torch.eye(old[0] * old[1], device=like.device, dtype=like.dtype).reshape(-1, 1, *old)
            resized = F.interpolate(basis, size=grid, mode=self.interpolate_mode, align_corners=False)
            self._resize_matrices[key] = resized.flatten(1).T.contiguous()
        return self._resize_matrices[key]

    def position(self, grid: tuple[int, int]) -> Tensor:
        """Position embedding for a patch grid, ``[1, 1 + N, D]``."""
        if grid == tuple(self.patch_resolution):
            return self.pos_embed
        with float32_island(self.pos_embed.device), torch.no_grad():
            matrix = self._resize_matrix(grid, self.pos_embed)
        with float32_island(self.pos_embed.device):
            patch = matrix @ self.pos_embed[0, 1:]
        return torch.cat([self.pos_embed[:, :1], patch[None]], dim=1)

    def with_registers(self, tokens: Tensor) -> Tensor:
        """``[n, 1 + N, D]`` to ``[n, 1 + R + N, D]``."""
        if not self.num_registers:
            return tokens
        registers = self.register_tokens.expand(tokens.shape[0], -1, -1).to(tokens.dtype)
        return torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)

    def embed(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Images ``[n, 3, S, S]`` (and mask ``[n, N]`` bool) to tokens ``[n, 1 + R + N, D]``."""
        tokens, grid = self.patch_embed(images)
        if mask is not None:
            tokens = torch.where(mask[..., None], self.mask_token.to(tokens.dtype), tokens)
        tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1).to(tokens.dtype), tokens], dim=1)
        return self.pre_norm(self.with_registers(self.drop_after_pos(tokens + self.position(tuple(grid)))))

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Layer-wise depth as mmpretrain's, with mask and register tokens at the stem."""
        if param_name in (f'{prefix}mask_token', f'{prefix}register_tokens'):
            return 0, self.num_layers + 2
        return super().get_layer_depth(param_name, prefix)

    def forward_one(self, images: Tensor, mask: Tensor | None = None, blocks: Sequence[int] = ()) -> Tokens:
        """One size group; ``blocks`` names earlier blocks (0-based) whose patch features are wanted too."""
        counters.count('backbone_calls')
        x, first = self.embed(images, mask), 1 + self.num_registers
        kept = {}
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in blocks:
                kept[number] = self.ln1(x)[:, first:]
        x = self.ln1(x)
        return Tokens(cls=x[:, 0], patch=x[:, first:], blocks=kept)

    def forward(  # type: ignore[override]
        self,
        groups: Sequence[Tensor] | Tensor,
        masks: Sequence[Tensor | None] | None = None,
        blocks: Sequence[int] = (),
    ) -> list[Tokens]:
        """All size groups of a step.

        Args:
            groups: one ``[n, 3, S, S]`` tensor per size (a single tensor counts as one group).
            masks: per group ``[n, N]`` bool or None.
            blocks: 0-based numbers of earlier blocks whose (normalized) patch features are wanted too.

        Returns:
            one :class:`Tokens` per group, after the final norm.
        """
        groups = [groups] if isinstance(groups, Tensor) else groups
        masks = masks or [None] * len(groups)
        return [self.forward_one(x, m, blocks) for x, m in zip(groups, masks, strict=True)]
