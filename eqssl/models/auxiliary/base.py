"""What an auxiliary task is to the algorithm class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn as nn
from torch import Tensor

from eqssl.models.backbones.contract import BackboneInfo
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.errors import UserError, at_key


@dataclass(frozen=True)
class ModelInfo(BackboneInfo):
    """What a task may want to know when it is built, beside what the backbone tells.

    Attributes:
        equi_dims: width of the equivariant part, None without a neck.
        embedding_dims: width of the base method's embedding.
        normalize: images in [0, 1] to normalized ones.
        backbone: the student's.
    """

    equi_dims: int | None
    embedding_dims: int
    normalize: Callable[[Tensor], Tensor]
    backbone: Any


def build_decoder(config: dict, width: int, name: str, info: ModelInfo) -> Any:
    """A decoder of features ``[B, grid^2, width]`` to images; its sizes from the backbone where it knows them.

    Raises:
        UserError: a convolutional backbone, and the config gives no grid.
    """
    known = {'in_channels': width, 'grid': info.grid, 'image_size': info.image_size}
    shapes = {**{k: v for k, v in known.items() if v is not None}, **config}
    for key in ('grid', 'image_size'):
        if key not in shapes:
            raise UserError(
                f'model.auxiliary.{name} draws images from a grid of patches, which model.backbone '
                f'{type(info.backbone).__name__} does not tell; set model.auxiliary.{name}.decoder.{key}'
            )
    with at_key('decoder'):
        return MODELS.build(shapes)


class AuxiliaryTask(nn.Module):
    """A loss beside the base method's. It runs at every step with static shapes.

    Attributes:
        needs_equivariant: whether it reads the equivariant part (a neck is then required).
        groups: size groups of the data that this task alone reads.
        changes_views: whether the base method's own views are changed; such tasks come after those that add views.
    """

    needs_equivariant: bool = False
    groups: tuple[str, ...] = ()
    changes_views: bool = False

    def setup(self, name: str, info: ModelInfo) -> None:
        """Build what depends on the model; ``name`` is the key under ``model.auxiliary``."""
        self.name = name

    def need_two_crops(self, views: Views, group: str) -> None:
        """Raise a UserError where a size group has fewer than two crops."""
        found = views.num_views.get(group, 0)
        if found < 2:
            raise UserError(
                f"model.auxiliary.{self.name} needs two crops in group '{group}', found {found}; add one to "
                'train_dataloader.dataset.views.views'
            )

    def transform_views(self, views: Views) -> None:
        """Change or add views, in [0, 1], before normalization; write targets (normalized later) and parameters."""

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """The unweighted loss and monitored values, device scalars."""
        raise NotImplementedError
