"""The classifier of rotations and the forms of its loss."""

from __future__ import annotations

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from eqssl.models.losses import supervised_contrastive
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island, precise

FORMS = ('ce', 'supcon', 'cosine')


@MODELS.register_module()
class RotationHead(nn.Module):
    """An MLP on features of rotated images, and how far it is from the true angles (EffSSL, arXiv 2210.09866).

    Args:
        in_channels: width of the features; the task fills it in.
        angles: number of angles; the task fills it in.
        hidden: width of the hidden layers.
        layers: linear layers (EffSSL: 2 with batch norm; E-SSL: 3 with layer norm).
        norm: 'bn' or 'ln' after hidden layers.
        loss: 'ce' cross-entropy; 'supcon' supervised contrast of the outputs, images turned alike attract each other;
            'cosine' minus the cosine to a learned vector of the angle. EffSSL compares the three (CE is best); the
            forms of the last two are not published and are ours.
        temperature: of 'supcon'.
    """

    def __init__(
        self,
        in_channels: int,
        angles: int = 4,
        hidden: int = 2048,
        layers: int = 2,
        norm: str = 'bn',
        loss: str = 'ce',
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        if loss not in FORMS:
            raise UserError(f"loss='{loss}' is none of {', '.join(FORMS)}")
        if norm not in ('bn', 'ln') or layers < 1:
            raise UserError(f"norm='{norm}' must be 'bn' or 'ln', layers={layers} at least 1")
        modules: list[nn.Module] = []
        for i in range(layers - 1):
            modules.append(nn.Linear(in_channels if i == 0 else hidden, hidden))
            modules += [nn.BatchNorm1d(hidden) if norm == 'bn' else nn.LayerNorm(hidden), nn.ReLU(inplace=True)]
        self.mlp = nn.Sequential(*modules)
        width = hidden if layers > 1 else in_channels
        self.out = nn.Linear(width, angles)
        self.form, self.temperature = loss, temperature

    def forward(self, features: Tensor) -> Tensor:
        """``[n, in_channels]`` to logits ``[n, angles]``; cosines to the angles' vectors for 'cosine'."""
        x = self.mlp(features)
        if self.form != 'cosine':
            return self.out(x)
        with float32_island(x.device):
            return F.normalize(precise(x), dim=1) @ F.normalize(precise(self.out.weight), dim=1).T

    def loss(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and accuracy.

        Args:
            features: ``[n, in_channels]``.
            labels: ``[n]`` in [0, angles).

        Returns:
            mean loss; share of images whose largest logit is the label's (no gradient; for 'supcon' of a classifier
            that is trained on detached outputs).
        """
        if self.form == 'supcon':
            return self._supcon(features, labels)
        logits = self(features)
        with float32_island(logits.device):
            if self.form == 'cosine':
                value = -logits.gather(1, labels[:, None]).mean()
            else:
                value = F.cross_entropy(precise(logits), labels)
        return value, (logits.detach().argmax(1) == labels).float().mean()

    def _supcon(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        x = self.mlp(features)
        logits = self.out(x.detach())
        with float32_island(x.device):
            contrast = supervised_contrastive(x[None], labels, self.temperature)
            value = contrast + F.cross_entropy(precise(logits), labels)
        return value, (logits.detach().argmax(1) == labels).float().mean()
