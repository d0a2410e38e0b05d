"""VICReg (Bardes et al., ICLR 2022) and Barlow Twins (Zbontar et al., ICML 2021): decorrelated dimensions."""

from __future__ import annotations

from torch import Tensor

from eqssl.models.heads.base import TwoViewHead, Values
from eqssl.models.heads.mlp import mlp
from eqssl.models.losses import barlow_twins, vicreg_terms
from eqssl.models.monitors import cosine_agreement, spread
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.precision import float32_island


@MODELS.register_module()
class VICRegHead(TwoViewHead):
    """Invariance, variance and covariance terms on the expander's output.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden, out_dim, layers: of the expander (8192-8192-8192).
        sim_weight, std_weight, cov_weight: 25, 25, 1 (SIE: 10, 10, 1).
        separate_views: see :class:`BaseHead`.
    """

    compares_samples = True

    def __init__(
        self,
        in_channels: int,
        hidden: int = 8192,
        out_dim: int = 8192,
        layers: int = 3,
        sim_weight: float = 25.0,
        std_weight: float = 25.0,
        cov_weight: float = 1.0,
        separate_views: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_dim, self.separate_views = in_channels, out_dim, separate_views
        self.sim_weight, self.std_weight, self.cov_weight = sim_weight, std_weight, cov_weight
        self.projector = mlp(in_channels, hidden, out_dim, layers, out_bias=False)

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """VICReg eq. 6."""
        z = projections
        with float32_island(z.device):
            invariance, variance, covariance = vicreg_terms(z[0], z[1])
        losses = {
            'loss_invariance': self.sim_weight * invariance,
            'loss_variance': self.std_weight * variance,
            'loss_covariance': self.cov_weight * covariance,
        }
        return losses, {'agreement': cosine_agreement(*z), 'embedding_std': spread(z[0])}


@MODELS.register_module()
class BarlowTwinsHead(TwoViewHead):
    """The cross-correlation of two views is drawn towards the identity.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden, out_dim, layers: of the projector (8192-8192-8192).
        redundancy_weight: lambda (0.0051).
        scale: of the whole loss (an early version of the official code had 0.024).
        separate_views: see :class:`BaseHead`.
    """

    compares_samples = True

    def __init__(
        self,
        in_channels: int,
        hidden: int = 8192,
        out_dim: int = 8192,
        layers: int = 3,
        redundancy_weight: float = 0.0051,
        scale: float = 1.0,
        separate_views: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_dim, self.separate_views = in_channels, out_dim, separate_views
        self.redundancy_weight, self.scale = redundancy_weight, scale
        self.projector = mlp(in_channels, hidden, out_dim, layers, out_bias=False)

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """Barlow Twins eq. 1."""
        z = projections
        with float32_island(z.device):
            value = self.scale * barlow_twins(z[0], z[1], self.redundancy_weight)
        return {'loss_barlow': value}, {'agreement': cosine_agreement(*z), 'embedding_std': spread(z[0])}
