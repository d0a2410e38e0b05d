"""VICReg (Bardes et al., ICLR 2022) and Barlow Twins (Zbontar et al., ICML 2021): decorrelated dimensions."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from eqssl.models.heads.base import TwoViewHead, Values
from eqssl.models.layers.mlp import mlp
from eqssl.models.losses import barlow_twins, vicreg_terms
from eqssl.models.monitors import agreement_and_spread
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.precision import float32_island


class ExpanderHead(TwoViewHead):
    """Two views through a wide MLP, whose dimensions are compared over the batch.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden, out_dim, layers: of the MLP (8192-8192-8192).
        separate_views: see :class:`BaseHead`.
    """

    compares_samples = True

    def __init__(
        self,
        in_channels: int,
        hidden: int = 8192,
        out_dim: int = 8192,
        layers: int = 3,
        separate_views: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_dim, self.separate_views = in_channels, out_dim, separate_views
        self.projector = mlp(in_channels, hidden, out_dim, layers, out_bias=False)


@MODELS.register_module()
class VICRegHead(ExpanderHead):
    """Invariance, variance and covariance terms on the expander's output.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        sim_weight, std_weight, cov_weight: 25, 25, 1 (SIE: 10, 10, 1).
        **expander: the other arguments of :class:`ExpanderHead`.
    """

    def __init__(
        self,
        in_channels: int,
        sim_weight: float = 25.0,
        std_weight: float = 25.0,
        cov_weight: float = 1.0,
        **expander: Any,
    ) -> None:
        super().__init__(in_channels, **expander)
        self.sim_weight, self.std_weight, self.cov_weight = sim_weight, std_weight, cov_weight

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """VICReg eq. 6."""
        with float32_island(projections.device):
            invariance, variance, covariance = vicreg_terms(*projections)
        losses = {
            'loss_invariance': self.sim_weight * invariance,
            'loss_variance': self.std_weight * variance,
            'loss_covariance': self.cov_weight * covariance,
        }
        return losses, agreement_and_spread(*projections)


@MODELS.register_module()
class BarlowTwinsHead(ExpanderHead):
    """The cross-correlation of two views is drawn towards the identity.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        redundancy_weight: lambda (0.0051).
        scale: of the whole loss (an early version of the official code had 0.024).
        **expander: the other arguments of :class:`ExpanderHead`.
    """

    def __init__(
        self, in_channels: int, redundancy_weight: float = 0.0051, scale: float = 1.0, **expander: Any
    ) -> None:
        super().__init__(in_channels, **expander)
        self.redundancy_weight, self.scale = redundancy_weight, scale

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """Barlow Twins eq. 1."""
        with float32_island(projections.device):
            value = self.scale * barlow_twins(projections[0], projections[1], self.redundancy_weight)
        return {'loss_barlow': value}, agreement_and_spread(*projections)
