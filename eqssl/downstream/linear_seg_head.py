"""A linear segmentation head on frozen patch tokens; needs mmseg (``custom_imports`` of its config)."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor

from eqssl.registry import MODELS


@MODELS.register_module()
class LinearSegHead(BaseDecodeHead):
    """Batch norm and one linear layer per patch (DINOv2, section 7.4).

    Args:
        **options: of mmseg's ``BaseDecodeHead``; ``channels`` equals ``in_channels``, ``norm_cfg`` is that of the norm.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.norm = build_norm_layer(self.norm_cfg or {'type': 'BN'}, self.channels)[1]

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Maps ``[B, C, h, w]`` to logits ``[B, classes, h, w]``."""
        return self.cls_seg(self.norm(self._transform_inputs(inputs)))
