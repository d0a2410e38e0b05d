"""A plain ViT as the backbone of detectors and segmentors: any image size, feature maps out, windows on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from eqssl.downstream.pretrained import resize_position_embedding
from eqssl.models.backbones.vit import MMVisionTransformer, VisionTransformer
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError


def to_windows(x: Tensor, size: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut maps into windows, padded with zeros at the right and at the bottom.

    Args:
        x: ``[B, H, W, D]``.
        size: side of a window.

    Returns:
        ``[B * windows, size * size, D]`` and the padded height and width.
    """
    batch, height, width, dims = x.shape
    x = F.pad(x, (0, 0, 0, -width % size, 0, -height % size))
    rows, columns = x.shape[1] // size, x.shape[2] // size
    x = x.reshape(batch, rows, size, columns, size, dims).transpose(2, 3)
    return x.reshape(-1, size * size, dims), (rows * size, columns * size)


def from_windows(windows: Tensor, size: int, padded: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """Inverse of :func:`to_windows`: maps ``[B, H, W, D]`` of the unpadded ``shape``."""
    rows, columns = padded[0] // size, padded[1] // size
    x = windows.reshape(-1, rows, columns, size, size, windows.shape[-1]).transpose(2, 3)
    return x.reshape(-1, *padded, windows.shape[-1])[:, : shape[0], : shape[1]]


@MODELS.register_module()
class DenseViT(VisionTransformer):
    """ViT whose weights are the pre-trained ones and whose output are feature maps ``[B, D, h, w]``.

    Without windows its tokens are those of pre-training for the same image. With ``window_size`` attention runs inside
    windows but in ``global_blocks`` (ViTDet, Li et al. 2022, section 3: windows of 14, four global blocks evenly
    spaced, no relative positions): memory grows linearly with the image then. Class and register
    tokens have no place in a window; they are left out of all blocks, as in ViTDet.

    Args:
        out_indices: 0-based blocks whose maps are given out.
        final_norm: True normalizes the last block's map (as pre-training does), 'all' every map with that norm (iBOT's
            ``out_with_norm``), False none.
        window_size: side of the windows in patches, 0 for none.
        global_blocks: blocks with attention over the whole image; None is every fourth part's last one.
        checkpoint_blocks: recompute blocks in the backward pass (less memory, a third more time).
        **vit: ``arch``, ``img_size`` (of pre-training; any size may come), ``patch_size``, ``drop_path_rate``,
            ``layer_scale_init_value``, ``num_registers``, ``frozen_stages``, ``init_cfg`` of
            :class:`eqssl.VisionTransformer`.

    Raises:
        UserError: a block that does not exist, or global blocks without windows.
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (-1,),
        final_norm: bool | str = True,
        window_size: int = 0,
        global_blocks: Sequence[int] | None = None,
        checkpoint_blocks: bool = False,
        **vit: Any,
    ) -> None:
        if final_norm not in (True, False, 'all'):
            raise UserError(f"model.backbone.final_norm={final_norm!r} is none of True, False, 'all'")
        if not isinstance(window_size, int) or window_size < 0:
            raise UserError(f'model.backbone.window_size={window_size!r} is no number of patches (0: no windows)')
        super().__init__(**vit)
        del self.mask_token  # nothing is masked downstream
        self.final_norm, self.window_size, self.checkpoint_blocks = final_norm, window_size, checkpoint_blocks
        if not final_norm:
            del self.ln1
        self.out_indices = self._blocks('out_indices', out_indices)
        if window_size == 0 and global_blocks is not None:
            raise UserError('model.backbone.global_blocks needs window_size (14 in ViTDet)')
        if global_blocks is None:
            global_blocks = sorted({max(0, self.num_layers * part // 4 - 1) for part in (1, 2, 3, 4)})
        self.global_blocks = self._blocks('global_blocks', global_blocks)
        self._drop_paths = {}  # of windowed blocks: an image's windows are dropped together
        if window_size:
            self.cls_token.requires_grad_(False)  # no part of the computation, nor are registers
            if self.num_registers:
                self.register_tokens.requires_grad_(False)
            for number in set(range(self.num_layers)) - set(self.global_blocks):
                self._drop_paths[number] = self.layers[number].attn.out_drop
                self.layers[number].attn.out_drop = torch.nn.Identity()
        self._freeze_unused()

    def _blocks(self, key: str, numbers: Sequence[int]) -> list[int]:
        found = [n + self.num_layers if n < 0 else n for n in numbers]
        if any(not 0 <= n < self.num_layers for n in found):
            raise UserError(f'model.backbone.{key}={tuple(numbers)}: the backbone has {self.num_layers} blocks')
        return found

    def _freeze_unused(self) -> None:
        """Blocks behind the last map that is asked for are not computed."""
        for block in self.layers[max(self.out_indices) + 1 :]:
            block.requires_grad_(False)
        if self.final_norm is True and self.num_layers - 1 not in self.out_indices:
            self.ln1.requires_grad_(False)

    def position(self, grid: tuple[int, int]) -> Tensor:
        """Position embedding for a patch grid, ``[1, 1 + N, D]``; not cached, for detection has a thousand grids."""
        resized = resize_position_embedding(self.pos_embed, 1, grid) if grid != tuple(self.patch_resolution) else None
        return self.pos_embed if resized is None else resized

    def train(self, mode: bool = True) -> DenseViT:
        """As every module's, the drop paths of windowed blocks with it."""
        super().train(mode)
        for number, drop in self._drop_paths.items():
            drop.train(mode and number >= self.frozen_stages)
        return self

    def init_weights(self) -> None:
        """mmpretrain's initialization, or ``init_cfg``."""
        MMVisionTransformer.init_weights(self)

    def _embed(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Tokens ``[B, 1 + R + N, D]`` (the patches' alone in windows) and the grid; images are padded to patches."""
        patch = self.patch_size
        images = F.pad(images, (0, -images.shape[3] % patch, 0, -images.shape[2] % patch))
        tokens, (height, width) = self.patch_embed(images)
        position = self.position((height, width))
        if self.window_size:
            return self.pre_norm(self.drop_after_pos(tokens + position[:, 1:])), (height, width)
        tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        return self.pre_norm(self.with_registers(self.drop_after_pos(tokens + position))), (height, width)

    def _run_block(self, number: int, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """One block, in windows where it is not a global one."""
        block = self.layers[number]
        if not self.window_size or number in self.global_blocks:
            return block(tokens)
        normed = block.ln1(tokens).unflatten(1, grid)
        windows, padded = to_windows(normed, self.window_size)
        attended = from_windows(block.attn(windows), self.window_size, padded, grid).flatten(1, 2)
        tokens = tokens + self._drop_paths[number](attended)
        return block.ffn(block.ln2(tokens), identity=tokens)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """``[B, 3, H, W]`` to one map ``[B, D, ceil(H / P), ceil(W / P)]`` per out index."""
        tokens, grid = self._embed(images)
        maps = []
        for number in range(max(self.out_indices) + 1):
            if self.checkpoint_blocks and self.training:
                tokens = checkpoint(self._run_block, number, tokens, grid, use_reentrant=False)  # type: ignore
            else:
                tokens = self._run_block(number, tokens, grid)
            if number in self.out_indices:
                normalized = self.final_norm == 'all' or (self.final_norm and number == self.num_layers - 1)
                kept = self.ln1(tokens) if normalized else tokens
                patches = kept[:, kept.shape[1] - grid[0] * grid[1] :]
                maps.append(patches.transpose(1, 2).unflatten(2, grid).contiguous())
        return tuple(maps)
