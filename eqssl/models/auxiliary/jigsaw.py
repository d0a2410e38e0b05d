"""Jigsaw puzzles beside a base method (Noroozi & Favaro, ECCV 2016; EffSSL, arXiv 2210.09866)."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from eqssl.augment.permutations import hamming_permutations
from eqssl.augment.photometric import to_gray
from eqssl.augment.resize import resized
from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island, precise
from eqssl.utils.randomness import uniforms


def cut_patches(images: Tensor, cells: int, size: int, u: Tensor) -> Tensor:
    """One patch from each cell of a grid, at a random place inside it.

    Args:
        images: ``[B, C, S, S]``.
        cells: cells per side.
        size: side of a patch, at most ``S // cells``.
        u: ``[B, cells^2, 2]`` uniform numbers in [0, 1) for x and y.

    Returns:
        ``[cells^2, B, C, size, size]``, cells in row-major order.
    """
    channels, side = images.shape[1], images.shape[-1]
    cell = side // cells
    number = torch.arange(cells * cells, device=images.device)
    corner = torch.stack([number % cells, torch.div(number, cells, rounding_mode='floor')], 1) * cell
    start = corner + (u * (cell - size + 1)).long().clamp(max=cell - size)  # [B, cells^2, 2]
    step = torch.arange(size, device=images.device)
    rows = (start[..., 1, None] + step)[..., :, None]
    columns = (start[..., 0, None] + step)[..., None, :]
    index = (rows * side + columns).flatten(1)[:, None].expand(-1, channels, -1)
    patches = images.flatten(2).gather(2, index)
    return patches.unflatten(2, (cells * cells, size, size)).permute(2, 0, 1, 3, 4)


@MODELS.register_module()
class JigsawTask(AuxiliaryTask):
    """Which permutation the patches of a grid were put into.

    EffSSL's code: crops of 255 px, 3 x 3 cells of 85 px, patches of 64 px, 100 permutations; every patch through the
    shared backbone, a linear layer of 256 with batch norm, all nine concatenated into a linear classifier.

    Args:
        group: group of the crops; another one than the base method's belongs to this task.
        cells: per side.
        permutations: size of the set (greedily maximal Hamming distance), at most ``cells^2!``.
        patch: side of a patch in pixels of the (scaled) crop; None takes 3/4 of a cell, as 64 of 85.
        scale: side of the image that is cut, relative to the crop; 1.0 is the paper's form, 0.5 a quarter of its cost.
        hidden: width of a patch's embedding.
        gray_prob: share of images shown in gray, against shortcuts along color fringes.
    """

    order: Tensor

    def __init__(
        self,
        group: str = 'global',
        cells: int = 3,
        permutations: int = 100,
        patch: int | None = None,
        scale: float = 0.5,
        hidden: int = 256,
        gray_prob: float = 0.2,
    ) -> None:
        super().__init__()
        if cells not in (2, 3):
            raise UserError(f'cells={cells} must be 2 or 3')
        if not 2 <= permutations <= math.factorial(cells * cells):
            raise UserError(f'permutations={permutations} must lie in [2, {math.factorial(cells * cells)}]')
        if not 0 < scale <= 1 or not 0 <= gray_prob <= 1:
            raise UserError(f'scale={scale} must lie in (0, 1], gray_prob={gray_prob} in [0, 1]')
        self.group, self.cells, self.patch, self.scale = group, cells, patch, scale
        self.hidden, self.gray_prob, self.count = hidden, gray_prob, permutations
        self.groups = () if group == 'global' else (group,)

    def setup(self, name: str, info: ModelInfo) -> None:
        """Permutations, the patches' embedding and the classifier."""
        super().setup(name, info)
        pieces = self.cells**2
        self.patch_size = info.patch_size
        with torch.device('cpu'):
            order = torch.from_numpy(hamming_permutations(pieces, self.count))
        self.register_buffer('order', order, persistent=False)
        self.embed = nn.Sequential(nn.Linear(info.embed_dims, self.hidden), nn.BatchNorm1d(self.hidden), nn.ReLU())
        self.classifier = nn.Linear(pieces * self.hidden, self.count)

    @property
    def own_group(self) -> str:
        """Group of the patches."""
        return f'{self.name}_patches'

    def _patch(self, side: int) -> int:
        """Side of a patch for an image of ``side`` pixels."""
        cell, unit = side // self.cells, self.patch_size
        size = self.patch or max(1, round(cell * 0.75 / unit)) * unit
        if size % unit or not unit <= size <= cell:
            raise UserError(
                f'model.auxiliary.{self.name}: a cell of {cell} px ({side} px in {self.cells} cells) must hold a patch '
                f'of {size} px, a multiple of the {unit} px that the backbone takes; raise scale or set patch'
            )
        return size

    def transform_views(self, views: Views) -> None:
        """Add the group of patches in their drawn order (from the first crop of the group)."""
        if self.group not in views.crops:
            raise UserError(
                f"model.auxiliary.{self.name}.group='{self.group}' is not a group of the views "
                f'({", ".join(views.crops)})'
            )
        crop = views.view(self.group, 0)
        image = resized(crop, max(1, round(crop.shape[-1] * self.scale)))
        pieces = self.cells**2
        u = uniforms(views.key, self.name, 2 * pieces + 2)
        patches = cut_patches(image, self.cells, self._patch(image.shape[-1]), u[:, 2:].unflatten(1, (pieces, 2)))
        label = (u[:, 0] * self.count).long().clamp(max=self.count - 1)
        order = self.order[label]  # [B, pieces]
        shown = patches.transpose(0, 1)[torch.arange(len(crop), device=crop.device)[:, None], order]
        gray = (u[:, 1] < self.gray_prob).float().repeat_interleave(pieces)
        flat = to_gray(shown.flatten(0, 1), gray).unflatten(0, (-1, pieces))
        views.crops[self.own_group] = flat.transpose(0, 1).flatten(0, 1)
        views.num_views[self.own_group] = pieces
        views.extra.add(self.own_group)
        if self.groups:
            del views.crops[self.group], views.num_views[self.group]
        views.params[f'permutation/{self.name}'] = label

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy over permutations; monitored: accuracy."""
        features = self.embed(step.tokens[self.own_group].cls).unflatten(0, (self.cells**2, -1))
        logits = self.classifier(features.transpose(0, 1).flatten(1))
        label = step.views.params[f'permutation/{self.name}']
        with float32_island(logits.device):
            value = F.cross_entropy(precise(logits), label)
        return value, {'accuracy': (logits.detach().argmax(1) == label).float().mean()}
