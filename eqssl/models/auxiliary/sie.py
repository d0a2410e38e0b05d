"""SIE (Garrido, Najman & LeCun, ICML 2023): split features and a predictor that is told the transformation."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from eqssl.augment.paths import Rotation, TransformPath, build_path
from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo
from eqssl.models.auxiliary.conditions import FIELDS, degrees_to_quaternion, view_differences
from eqssl.models.layers.mlp import mlp
from eqssl.models.losses import vicreg_terms
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island, precise


class HyperPredictor(nn.Module):
    """A linear map whose weights are a linear function of the transformation, without biases (SIE, section 3.2).

    Args:
        conditions: width of the transformation's description.
        width: of the features.
    """

    def __init__(self, conditions: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.weights = nn.Linear(conditions, width * width, bias=False)
        nn.init.normal_(self.weights.weight, std=width**-0.5)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """``[B, width]`` and ``[B, conditions]`` to the predicted features ``[B, width]``; bilinear in both."""
        matrix = self.weights(condition).unflatten(1, (self.width, self.width))
        return torch.einsum('bij,bj->bi', matrix, features)


@MODELS.register_module()
class SIETask(AuxiliaryTask):
    """The equivariant part of a transformed view is predicted from that of the other view and the transformation.

    With a VICReg head on the invariant part (weights 10, 10, 1) and a neck that splits the backbone this is SIE. Its
    code has 10 MSE(inv) + 4.5 MSE(pred, y') + 10 V(x, y) + 10 V(pred) + C with V and C on the concatenated parts; here
    V and C of the two parts are added, so the covariance between the parts is not penalized.

    - ``path`` given: a further view g_theta(u) of the second crop u (a pass of its own); the condition is theta, for a
      rotation its unit quaternion.
    - ``path=None``: from the first to the second view of the base method, conditioned on the difference of their
      recorded parameters; no further view.

    Args:
        path: config of a path, or None.
        fields: recorded parameters for ``path=None``, out of crop, flip, color, gray, blur, solarize.
        hidden, out_dim, layers: of the expander on the equivariant part.
        equi_weight, std_weight, cov_weight: 4.5, 10, 1 (the whole is multiplied by the task's weight).
        group: the size group with the crops.
    """

    needs_equivariant = True

    def __init__(
        self,
        path: dict | TransformPath | None = None,
        fields: tuple[str, ...] = ('crop', 'flip', 'color', 'blur'),
        hidden: int = 1024,
        out_dim: int = 256,
        layers: int = 3,
        equi_weight: float = 4.5,
        std_weight: float = 10.0,
        cov_weight: float = 1.0,
        group: str = 'global',
    ) -> None:
        super().__init__()
        unknown = set(fields) - set(FIELDS)
        if unknown or not fields:
            raise UserError(f'fields={tuple(fields)} must be out of {", ".join(FIELDS)}')
        self.path = None if path is None else build_path(path)
        self.fields, self.group = tuple(fields), group
        self.sizes = (hidden, out_dim, layers)
        self.weights = (equi_weight, std_weight, cov_weight)

    @property
    def conditions(self) -> int:
        """Width of the transformation's description."""
        if self.path is None:
            return sum(FIELDS[name] for name in self.fields)
        return 4 if isinstance(self.path, Rotation) else self.path.size + 1

    def setup(self, name: str, info: ModelInfo) -> None:
        """Build expander and predictor."""
        super().setup(name, info)
        assert info.equi_dims is not None
        hidden, out_dim, layers = self.sizes
        self.expander = mlp(info.equi_dims, hidden, out_dim, layers, out_bias=False)
        self.predictor = HyperPredictor(self.conditions + (self.path is None), out_dim)

    @property
    def own_group(self) -> str:
        """Group of the transformed view."""
        return f'{self.name}_moved'

    def transform_views(self, views: Views) -> None:
        """Add g_theta(u), where there is a path."""
        self.need_two_crops(views, self.group)
        if self.path is None:
            return
        theta = self.path.sample_from_keys(views.key, self.name)
        views.crops[self.own_group] = self.path.apply(views.view(self.group, 1), theta, 1.0)
        views.num_views[self.own_group] = 1
        views.extra.add(self.own_group)
        views.params[f'theta/{self.name}'] = theta

    def condition(self, views: Views) -> Tensor:
        """The transformation, ``[B, C]``; the identity is (0, ..., 0, 1)."""
        if self.path is None:
            delta = view_differences(views, self.group, 0, 1, self.fields)
        else:
            theta = views.params[f'theta/{self.name}']
            if isinstance(self.path, Rotation):
                return degrees_to_quaternion(theta)
            delta = self.path.scaled(theta)
        return torch.cat([delta, delta.new_ones(len(delta), 1)], dim=1)

    def _pair(self, step: Step) -> tuple[Tensor, Tensor]:
        """Expanded mean equivariant features of the source and of the transformed view, ``[B, E]`` each."""
        views = step.views.batch_size
        own = step.equivariant(self.group).mean(1).split(views)
        if self.path is None:
            return self.expander(own[0]), self.expander(own[1])
        return self.expander(own[1]), self.expander(step.equivariant(self.own_group).mean(1))

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """equi MSE(pred, y') + std (V(y, y') + V(pred)) + cov C(y, y'); monitored: the unexplained share of y'."""
        source, target = self._pair(step)
        with float32_island(source.device):
            source, target = precise(source), precise(target)
            predicted = self.predictor(source, self.condition(step.views).to(source.dtype))
            error = F.mse_loss(predicted, target)
            _, variance, covariance = vicreg_terms(source, target)
            spread = vicreg_terms(predicted, predicted)[1] / 2
            equi, std, cov = self.weights
            value = equi * error + std * (variance + spread) + cov * covariance
            unexplained = error.detach() / target.detach().var(0, correction=0).mean().clamp(min=1e-12)
        return value, {'unexplained': unexplained}
