"""What travels from the data to the losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Photometrics(NamedTuple):
    """Photometric parameters of views, one number (or column) each; a neutral value switches an operation off.

    Attributes:
        brightness, contrast, saturation: factors, 1 is neutral.
        hue: shift in turns, 0 is neutral.
        gray, solarize: 1 where the operation is applied, else 0.
        sigma: of the Gaussian blur, in pixels of the crop, 0 is neutral.
    """

    brightness: Any
    contrast: Any
    saturation: Any
    hue: Any
    gray: Any
    sigma: Any
    solarize: Any

    @classmethod
    def of(cls, photo: Tensor) -> Photometrics:
        """The columns of ``[..., 7]``, as data sets write them."""
        return cls(*photo.unbind(-1))

    @property
    def color(self) -> tuple[Any, Any, Any, Any]:
        """What jitters the color: brightness, contrast, saturation, hue."""
        return self.brightness, self.contrast, self.saturation, self.hue


@dataclass
class Tokens:
    """What a backbone returns for one size group of ``n`` images (view-major: all images of view 0, then view 1, ...).

    Attributes:
        cls: global feature, ``[n, D]`` (ViT: the class token; ResNet: the pooled feature).
        patch: position features in row-major order, ``[n, N, D]``.
        blocks: patch features of earlier blocks by block number, ``[n, N, D]`` each, where a neck asked for them.
    """

    cls: Tensor
    patch: Tensor
    blocks: dict[int, Tensor] = field(default_factory=dict)


@dataclass
class Masks:
    """Masked patches of the global crops, padded to a static count ``M``.

    Attributes:
        grid: ``[V * B, N]`` bool, True where the student's patch embedding is replaced.
        index: ``[M]`` int64 into the flattened ``V * B * N`` patches; padded with 0.
        weight: ``[M]`` float32; 1 / (masked patches of that view), 0 for padding, so that a weighted sum is a sum of
            per-view means (iBOT: per-image mean, views without a mask count 0).
    """

    grid: Tensor
    index: Tensor
    weight: Tensor


@dataclass
class Views:
    """All views of one batch of ``B`` images on the device, normalized, view-major.

    Attributes:
        crops: size group -> ``[V * B, 3, S, S]`` float32.
        num_views: size group -> ``V``.
        batch_size: ``B``.
        index: ``[B]`` int64, place of the image in the data set.
        key: ``[B]`` int64 hash of (seed, position): what every later random draw of this sample is computed from.
        label: ``[B]`` int64, -1 where the data has none.
        masks: masked patches of the global crops, or None.
        targets: auxiliary task -> its targets, e.g. ``[K, B, 3, S, S]``.
        params: recorded parameters: ``box/<group>`` ``[V, B, 5]`` (x, y, width, height in source pixels, flip),
            ``photo/<group>`` ``[V, B, 7]``, ``theta/<task>`` ``[B, P]``.
        extra: groups that only auxiliary tasks read; the head does not see them.
        raw: size group -> the crops before photometrics, ``[V, B, S, S, 3]`` uint8.
    """

    crops: dict[str, Tensor]
    num_views: dict[str, int]
    batch_size: int
    index: Tensor
    key: Tensor
    label: Tensor
    masks: Masks | None = None
    targets: dict[str, Tensor] = field(default_factory=dict)
    params: dict[str, Tensor] = field(default_factory=dict)
    extra: set[str] = field(default_factory=set)
    raw: dict[str, Tensor] = field(default_factory=dict)

    def view(self, group: str, number: int) -> Tensor:
        """One view of a size group, ``[B, 3, S, S]``."""
        start = number * self.batch_size
        return self.crops[group][start : start + self.batch_size]

    def replace_view(self, group: str, number: int, images: Tensor) -> None:
        """Put ``[B, 3, S, S]`` in the place of one view of a size group."""
        crops = list(self.crops[group].split(self.batch_size))
        crops[number] = images
        self.crops[group] = torch.cat(crops)
