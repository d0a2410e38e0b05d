"""Baselines that are told, or asked, the parameters of the base method's own views: EquiMod and AugSelf."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo
from eqssl.models.auxiliary.conditions import FIELDS, view_differences
from eqssl.models.layers.mlp import mlp
from eqssl.models.losses import nt_xent
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island, precise


def _known(fields: tuple[str, ...]) -> tuple[str, ...]:
    if not fields or set(fields) - set(FIELDS):
        raise UserError(f'fields={tuple(fields)} must be out of {", ".join(FIELDS)}')
    return tuple(fields)


@MODELS.register_module()
class AugSelfTask(AuxiliaryTask):
    """How the parameters of two views differ, read from their features (Lee et al., NeurIPS 2021).

    A three-layer MLP per field on [y1, y2] regresses the difference of its parameters (mean squared error; the flip by
    cross-entropy). L = sum of the fields' losses.

    Args:
        fields: what is asked, out of crop, flip, color, gray, blur, solarize (paper: crop and color).
        hidden: width of the MLPs (512).
        group: the size group with the two crops.
    """

    def __init__(self, fields: tuple[str, ...] = ('crop', 'color'), hidden: int = 512, group: str = 'global') -> None:
        super().__init__()
        self.fields, self.hidden, self.group = _known(fields), hidden, group

    def setup(self, name: str, info: ModelInfo) -> None:
        """One MLP per field."""
        super().setup(name, info)
        width = 2 * info.embed_dims
        self.readout = nn.ModuleDict(
            {f: mlp(width, self.hidden, FIELDS[f] if f != 'flip' else 2, 3, norm=False) for f in self.fields}
        )

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum over fields; monitored: each field's unexplained share of variance, or accuracy."""
        self.need_two_crops(step.views, self.group)
        first, second = step.tokens[self.group].cls.split(step.views.batch_size)[:2]
        both, losses, monitors = torch.cat([first, second], dim=1), [], {}
        for field, network in self.readout.items():
            want = view_differences(step.views, self.group, 0, 1, (field,))
            got = network(both)
            with float32_island(got.device):
                got = precise(got)
                if field == 'flip':
                    label = (want[:, 0] != 0).long()
                    losses.append(F.cross_entropy(got, label))
                    monitors['flip_accuracy'] = (got.detach().argmax(1) == label).float().mean()
                else:
                    losses.append(F.mse_loss(got, want.to(got.dtype)))
                    variance = want.var(0, correction=0).mean().clamp(min=1e-12)
                    monitors[f'{field}_unexplained'] = losses[-1].detach() / variance
        return torch.stack(losses).sum(), monitors


@MODELS.register_module()
class EquiModTask(AuxiliaryTask):
    """The embedding of the second view is predicted from that of the first and the transformation between them.

    After EquiMod (Devillers & Lefort, ICLR 2023): an equivariance projector of its own, the parameters projected to 128
    numbers, a one-layer predictor, NT-Xent between prediction and embedding. The paper predicts from the image before
    augmentation, which needs a third view; here the source is the first view.

    Args:
        fields: parameters of the condition, out of crop, flip, color, gray, blur, solarize.
        hidden, out_dim: of the projector.
        condition_dims: width of the projected parameters (128).
        temperature: of NT-Xent (0.2).
        group: the size group with the two crops.
    """

    def __init__(
        self,
        fields: tuple[str, ...] = ('crop', 'flip', 'color', 'gray', 'blur', 'solarize'),
        hidden: int = 2048,
        out_dim: int = 128,
        condition_dims: int = 128,
        temperature: float = 0.2,
        group: str = 'global',
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise UserError(f'temperature={temperature} must be positive')
        self.fields, self.group, self.temperature = _known(fields), group, temperature
        self.sizes = (hidden, out_dim, condition_dims)

    def setup(self, name: str, info: ModelInfo) -> None:
        """Projector, projection of the parameters, predictor."""
        super().setup(name, info)
        hidden, out_dim, width = self.sizes
        self.projector = mlp(info.embed_dims, hidden, out_dim, 2)
        self.condition = nn.Linear(sum(FIELDS[f] for f in self.fields), width)
        self.predictor = nn.Linear(out_dim + width, out_dim)

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """NT-Xent of predictions and embeddings; monitored: how often the right one is the nearest."""
        self.need_two_crops(step.views, self.group)
        first, second = (self.projector(x) for x in step.tokens[self.group].cls.split(step.views.batch_size)[:2])
        delta = view_differences(step.views, self.group, 0, 1, self.fields).to(first.dtype)
        predicted = self.predictor(torch.cat([first, self.condition(delta)], dim=1))
        with float32_island(predicted.device):
            value, top1 = nt_xent(torch.stack([predicted, second]), self.temperature)
        return value, {'top1': top1}
