"""What a backbone is to the algorithm class, and what can be asked of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch.nn as nn
from torch import Tensor

from eqssl.structures import Tokens


class Backbone(Protocol):
    """A network that takes size groups; an ``nn.Module``.

    Beyond this, a backbone may have ``mask_token`` (a parameter: it takes masks), ``patch_resolution`` (patches per
    side at its ``img_size``), ``img_size`` and ``patch_size``; :func:`describe` reads them for heads, necks and tasks.

    Attributes:
        embed_dims: width D of its features.
    """

    embed_dims: int

    def __call__(
        self, groups: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None, blocks: Sequence[int] = ()
    ) -> list[Tokens]:
        """One :class:`Tokens` for each size group.

        Args:
            groups: ``[n, 3, S, S]`` normalized images of each size.
            masks: for each group ``[n, N]`` bool, True where the patch is hidden, or None.
            blocks: numbers of earlier blocks whose patch features are wanted too.
        """


@dataclass(frozen=True)
class BackboneInfo:
    """What heads, necks and tasks may want to know of a backbone.

    Attributes:
        embed_dims: width of its features.
        mask_token: the parameter that stands for a hidden patch; None where masks are not taken.
        grid: patches per side of a global crop, None where the backbone does not know its image size.
        image_size: side of a global crop, None likewise.
        patch_size: side of a patch, 1 for convolutional backbones.
    """

    embed_dims: int
    mask_token: nn.Parameter | None
    grid: int | None
    image_size: int | None
    patch_size: int


def describe(backbone: Any) -> BackboneInfo:
    """What a backbone tells of itself."""
    return BackboneInfo(
        embed_dims=backbone.embed_dims,
        mask_token=getattr(backbone, 'mask_token', None),
        grid=getattr(backbone, 'patch_resolution', (None,))[0],
        image_size=getattr(backbone, 'img_size', (None,))[0],
        patch_size=getattr(backbone, 'patch_size', 1),
    )
