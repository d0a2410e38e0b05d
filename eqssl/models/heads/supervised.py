"""Plain classification: the supervised reference, and the network behind saliency maps."""

from __future__ import annotations

import torch.nn as nn
import torch.nn.functional as F

from eqssl.models.heads.base import BaseHead, DataSpec, Values
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island, precise


@MODELS.register_module()
class SupervisedHead(BaseHead):
    """Cross-entropy of a linear classifier on every crop.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        num_classes: of the data.
    """

    needs_labels = True
    num_crops = None

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        if num_classes < 2:
            raise UserError(f'num_classes={num_classes} must be at least 2')
        self.in_channels, self.out_dim = in_channels, num_classes
        self.projector = nn.Linear(in_channels, num_classes)

    def loss(self, step: Step) -> tuple[Values, Values]:
        """See :class:`BaseHead`; ``agreement`` is the accuracy on the training crops."""
        logits = self.projector(step.student.cls[self.teacher_group])
        label = step.views.label.repeat(step.views.num_views[self.teacher_group])
        with float32_island(logits.device):
            value = F.cross_entropy(precise(logits), label)
        return {'loss_class': value}, {'agreement': (logits.detach().argmax(1) == label).float().mean()}

    def check_data(self, data: DataSpec) -> None:
        """See :class:`BaseHead`."""
        super().check_data(data)
        if data.classes > self.out_dim:
            raise UserError(f'num_classes={self.out_dim}, but the data has {data.classes}; set it to that')
