"""RotNet (Gidaris et al., ICLR 2018): which of four rotations an image was turned by."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from eqssl.augment.rotations import rotate90
from eqssl.models.heads.base import BaseHead, Values
from eqssl.models.layers.mlp import mlp
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.precision import float32_island, precise


@MODELS.register_module()
class RotNetHead(BaseHead):
    """Cross-entropy over 0, 90, 180 and 270 degrees; every crop is shown in all four rotations, as the official code.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden: width of the hidden layers.
        layers: linear layers of the classifier (1: linear, as the publication; 2 as EffSSL's rotation head).
    """

    num_crops = None

    def __init__(self, in_channels: int, hidden: int = 2048, layers: int = 1) -> None:
        super().__init__()
        self.in_channels, self.out_dim = in_channels, 4
        self.projector = mlp(in_channels, hidden, 4, layers)

    def transform_views(self, views: Views) -> None:
        """Four rotations of every crop: ``V`` views become ``4 V``, all crops at 0 degrees first."""
        group = self.teacher_group
        views.crops[group] = torch.cat([rotate90(views.crops[group], turns) for turns in range(4)])
        views.num_views[group] *= 4

    def loss(self, step: Step) -> tuple[Values, Values]:
        """See :class:`BaseHead`; RotNet eq. 3."""
        logits = self.projector(step.student.cls[self.teacher_group])
        target = torch.arange(4, device=logits.device).repeat_interleave(len(logits) // 4)
        with float32_island(logits.device):
            value = F.cross_entropy(precise(logits), target)
        return {'loss_rotation': value}, {'agreement': (logits.detach().argmax(1) == target).float().mean()}
