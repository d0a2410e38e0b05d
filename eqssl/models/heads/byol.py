"""BYOL (Grill et al., NeurIPS 2020) and SimSiam (Chen & He, CVPR 2021): prediction of the other view, no negatives."""

from __future__ import annotations

from torch import Tensor

from eqssl.models.heads.base import TwoViewHead, Values
from eqssl.models.layers.mlp import mlp
from eqssl.models.losses import byol_regression, negative_cosine
from eqssl.models.monitors import cosine_agreement, spread
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.precision import float32_island


@MODELS.register_module()
class BYOLHead(TwoViewHead):
    """The predictor's output of one view regresses the teacher's projection of the other; both directions are summed.

    Batch norm sees the views one by one, in the teacher with batch statistics too, as in the publication.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden: width of the hidden layers of projector and predictor.
        out_dim: width of projection and prediction.
        layers: linear layers of the projector (the predictor has 2).
        momentum: of the teacher at the start.
        separate_views: see :class:`BaseHead`.
    """

    needs_teacher = True

    def __init__(
        self,
        in_channels: int,
        hidden: int = 4096,
        out_dim: int = 256,
        layers: int = 2,
        momentum: float = 0.996,
        separate_views: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_dim = in_channels, out_dim
        self.momentum, self.separate_views = momentum, separate_views
        self.projector = mlp(in_channels, hidden, out_dim, layers, out_bias=False)
        self.predictor = mlp(out_dim, hidden, out_dim, 2, out_bias=False)

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """BYOL eq. 2, symmetrized."""
        assert targets is not None
        predictions = self.by_view(self.predictor, projections.flatten(0, 1), 2)
        with float32_island(predictions.device):
            value = byol_regression(predictions[0], targets[1]) + byol_regression(predictions[1], targets[0])
        return {'loss_byol': value}, {
            'agreement': cosine_agreement(predictions[0], targets[1]),
            'embedding_std': spread(projections[0]),
        }


@MODELS.register_module()
class SimSiamHead(TwoViewHead):
    """The predictor's output of one view points where the other view's projection does, behind a stop-gradient.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden: width of the projector's hidden layers.
        out_dim: width of the projection.
        layers: linear layers of the projector (3; 2 on CIFAR), which ends in a batch norm without affine part.
        predictor_hidden: width of the predictor's bottleneck.
        separate_views: see :class:`BaseHead`.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int = 2048,
        out_dim: int = 2048,
        layers: int = 3,
        predictor_hidden: int = 512,
        separate_views: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_dim, self.separate_views = in_channels, out_dim, separate_views
        self.projector = mlp(in_channels, hidden, out_dim, layers, out_norm='bn_fixed')
        self.predictor = mlp(out_dim, predictor_hidden, out_dim, 2)

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """SimSiam eq. 4."""
        predictions = self.by_view(self.predictor, projections.flatten(0, 1), 2)
        with float32_island(predictions.device):
            one = negative_cosine(predictions[0], projections[1])
            two = negative_cosine(predictions[1], projections[0])
        return {'loss_simsiam': (one + two) / 2}, {
            'agreement': cosine_agreement(predictions[0], projections[1]),
            'embedding_std': spread(projections[0]),
        }
