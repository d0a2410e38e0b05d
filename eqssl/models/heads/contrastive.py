"""SimCLR (Chen et al., ICML 2020), MoCo v3 (Chen et al., ICCV 2021) and SupCon (Khosla et al., NeurIPS 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from eqssl.models.heads.base import DataSpec, TwoViewHead, Values
from eqssl.models.label_noise import wrong_labels
from eqssl.models.layers.mlp import mlp
from eqssl.models.losses import info_nce, nt_xent, supervised_contrastive
from eqssl.models.monitors import agreement_and_spread, cosine_agreement, spread
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island
from eqssl.utils.randomness import uniforms


def _positive(name: str, value: float) -> float:
    if value <= 0:
        raise UserError(f'{name}={value} must be positive')
    return value


@MODELS.register_module()
class SimCLRHead(TwoViewHead):
    """NT-Xent with the negatives of all ranks.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden: width of the hidden layers; None takes ``in_channels``.
        out_dim: width of the embedding.
        layers: linear layers of the projector (2; SimCLR v2: 3).
        out_norm: 'bn' as the official projector, or 'none'.
        temperature: tau (0.1 on ImageNet; 0.5 for short schedules or small batches on CIFAR).
        known_labels: share of images whose label is known, to leave images of the same class out of the negatives
            (EffSSL's analysis); the same images in every epoch. 0 reads no label.
        separate_views: see :class:`BaseHead`; the official code sends both views through one batch norm.
    """

    compares_samples = True

    def __init__(
        self,
        in_channels: int,
        hidden: int | None = None,
        out_dim: int = 128,
        layers: int = 2,
        out_norm: str = 'bn',
        temperature: float = 0.1,
        known_labels: float = 0.0,
        separate_views: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= known_labels <= 1:
            raise UserError(f'known_labels={known_labels} is not a share in [0, 1]')
        self.in_channels, self.out_dim, self.separate_views = in_channels, out_dim, separate_views
        self.temperature = _positive('temperature', temperature)
        self.known_labels, self.needs_labels = known_labels, known_labels > 0
        self.projector = mlp(in_channels, hidden or in_channels, out_dim, layers, out_norm=out_norm, out_bias=False)

    def _classes(self, views: Views) -> Tensor | None:
        """Labels of the images whose label is known, -1 for the others."""
        if self.known_labels == 0:
            return None
        known = uniforms(views.index, 'known_labels', 1)[:, 0] < self.known_labels
        return torch.where(known, views.label, -1)

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """SimCLR eq. 1."""
        with float32_island(projections.device):
            value, top1 = nt_xent(projections, self.temperature, self._classes(views))
        monitors = {'contrastive_top1': top1, **agreement_and_spread(*projections)}
        return {'loss_simclr': value}, monitors


@MODELS.register_module()
class MoCoV3Head(TwoViewHead):
    """InfoNCE between the predictor's output and the teacher's projections of the other view on all ranks.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden: width of the hidden layers.
        out_dim: width of projection and prediction.
        layers: linear layers of the projector (2 with ResNet, 3 with ViT); it ends in a batch norm without affine part.
        predictor_layers: of the predictor.
        predictor_norm: whether the predictor ends in such a batch norm too (ViT: yes, ResNet: no).
        temperature: tau (1.0 with ResNet, 0.2 with ViT).
        momentum: of the teacher at the start (0.99).
        separate_views: see :class:`BaseHead`.
    """

    needs_teacher = True
    compares_samples = True

    def __init__(
        self,
        in_channels: int,
        hidden: int = 4096,
        out_dim: int = 256,
        layers: int = 3,
        predictor_layers: int = 2,
        predictor_norm: bool = True,
        temperature: float = 0.2,
        momentum: float = 0.99,
        separate_views: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_dim = in_channels, out_dim
        self.temperature = _positive('temperature', temperature)
        self.momentum, self.separate_views = momentum, separate_views
        self.projector = mlp(in_channels, hidden, out_dim, layers, out_norm='bn_fixed')
        out_norm = 'bn_fixed' if predictor_norm else 'none'
        self.predictor = mlp(out_dim, hidden, out_dim, predictor_layers, out_norm=out_norm, out_bias=False)

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """MoCo v3 algorithm 1: 2 tau (L(q1, k2) + L(q2, k1))."""
        assert targets is not None
        queries = self.by_view(self.predictor, projections.flatten(0, 1), 2)
        with float32_island(queries.device):
            one, top1 = info_nce(queries[0], targets[1], self.temperature)
            two, _ = info_nce(queries[1], targets[0], self.temperature)
        monitors = {
            'agreement': cosine_agreement(queries[0], targets[1]),
            'contrastive_top1': top1,
            'embedding_std': spread(projections[0]),
        }
        return {'loss_mocov3': 2 * self.temperature * (one + two)}, monitors


def noisy_labels(labels: Tensor, index: Tensor, rate: float, classes: int, stream: str = 'label_noise') -> Tensor:
    """Labels of which a share is replaced by another class, the same for an image in every epoch and on every rank.

    Args:
        labels: ``[B]`` in [0, classes).
        index: ``[B]`` place of the image in the data set.
        rate: share of images whose label is wrong, in [0, 1].
        classes: number of classes.
        stream: name of the draw.
    """
    return labels if rate == 0 else wrong_labels(labels, uniforms(index, stream, 2), rate, classes)


@MODELS.register_module()
class SupConHead(TwoViewHead):
    """Supervised contrastive learning: all images of a class are positives.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden: width of the hidden layer; None takes ``in_channels``.
        out_dim: width of the embedding.
        layers: linear layers of the projector, without batch norm as the official one.
        temperature: tau (0.07; 0.1 on CIFAR and in the paper's ImageNet runs).
        base_temperature: the official code multiplies the loss by temperature / base_temperature (0.07); None leaves
            the paper's eq. 2.
        label_noise: share of images with a wrong label (EffSSL, section 5), fixed for the whole run.
        num_classes: needed for ``label_noise``.
        separate_views: see :class:`BaseHead`.
    """

    needs_labels = True
    compares_samples = True

    def __init__(
        self,
        in_channels: int,
        hidden: int | None = None,
        out_dim: int = 128,
        layers: int = 2,
        temperature: float = 0.07,
        base_temperature: float | None = None,
        label_noise: float = 0.0,
        num_classes: int | None = None,
        separate_views: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= label_noise <= 1:
            raise UserError(f'label_noise={label_noise} is not a share in [0, 1]')
        if label_noise > 0 and (num_classes is None or num_classes < 2):
            raise UserError(f'label_noise={label_noise} needs model.head.num_classes of at least 2')
        self.in_channels, self.out_dim, self.separate_views = in_channels, out_dim, separate_views
        self.temperature = _positive('temperature', temperature)
        self.scale = 1.0 if base_temperature is None else temperature / _positive('base_temperature', base_temperature)
        self.label_noise, self.num_classes = label_noise, num_classes or 0
        self.projector = mlp(in_channels, hidden or in_channels, out_dim, layers, norm=False)

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """SupCon eq. 2."""
        labels = noisy_labels(views.label, views.index, self.label_noise, self.num_classes)
        with float32_island(projections.device):
            value = self.scale * supervised_contrastive(projections, labels, self.temperature)
        return {'loss_supcon': value}, agreement_and_spread(*projections)

    def check_data(self, data: DataSpec) -> None:
        """See :class:`BaseHead`; label noise must know every class."""
        super().check_data(data)
        if self.label_noise > 0 and data.classes > self.num_classes:
            raise UserError(f'num_classes={self.num_classes}, but the data has {data.classes} classes; set it to that')
