"""Rotation prediction beside a base method: EffSSL (arXiv 2210.09866, ECCV 2022) and E-SSL (ICLR 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from eqssl.augment.resize import resized
from eqssl.augment.rotations import rotate_by_label
from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo
from eqssl.models.auxiliary.branch import partial_copy
from eqssl.models.label_noise import wrong_labels
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.errors import UserError, at_key
from eqssl.utils.randomness import uniforms


@MODELS.register_module()
class RotationTask(AuxiliaryTask):
    """Which angle a view was turned by.

    EffSSL (``group='global'``): every view of the base method is turned by an angle of its own, drawn for each image
    and view; the turned images feed this task alone, in passes (and batch norm statistics) of their own. L = mean over
    views and images of CE(h(features), angle); the official code has the sum over the two views (twice the weight).
    E-SSL (``group='rotation'``, small crops that the data cuts for this task): each crop in every angle.

    Args:
        head: config of a :class:`RotationHead`.
        angles: size of the set {0, 360 / angles, ...} (EffSSL compares 2, 4, 8, 12; more than 4 are interpolated).
        group: group of the crops that are turned; another one than the base method's belongs to this task.
        every_angle: show each crop in every angle instead of one drawn angle; None: where the crops are this task's.
        scale: side of the turned images relative to the crops. 0.5 is cheap (+10 % of an iBOT ViT-S step instead of
            +43 %); 1.0 is the papers' form.
        features: 'projector' (EffSSL's equation: h on the base method's embedding) or 'backbone' (its code, E-SSL).
        shared_stages: share only so many first stages (ResNet) or blocks (ViT) with the base method, the later ones are
            copies of their own (EffSSL's ablation); None shares all. Needs ``features='backbone'``.
        label_noise: share of wrong angles (EffSSL's analysis).
        padding: what lies outside at angles between quarter turns.
    """

    def __init__(
        self,
        head: dict,
        angles: int = 4,
        group: str = 'global',
        every_angle: bool | None = None,
        scale: float = 0.5,
        features: str = 'projector',
        shared_stages: int | None = None,
        label_noise: float = 0.0,
        padding: str = 'reflect',
    ) -> None:
        super().__init__()
        if angles < 2:
            raise UserError(f'angles={angles} must be at least 2')
        if not 0 < scale <= 1:
            raise UserError(f'scale={scale} is not in (0, 1]')
        if features not in ('projector', 'backbone'):
            raise UserError(f"features='{features}' is neither 'projector' nor 'backbone'")
        if shared_stages is not None and features != 'backbone':
            raise UserError("shared_stages needs features='backbone'")
        if not 0 <= label_noise <= 1:
            raise UserError(f'label_noise={label_noise} is not a share in [0, 1]')
        self.head_cfg, self.angles, self.group, self.scale = head, angles, group, scale
        self.every_angle = group != 'global' if every_angle is None else every_angle
        self.features, self.shared_stages = features, shared_stages
        self.label_noise, self.padding = label_noise, padding
        self.groups = () if group == 'global' else (group,)

    def setup(self, name: str, info: ModelInfo) -> None:
        """Build the classifier (and the branch with layers of its own)."""
        super().setup(name, info)
        width = info.embedding_dims if self.features == 'projector' else info.embed_dims
        with at_key('head'):
            self.head = MODELS.build({'in_channels': width, 'angles': self.angles, **self.head_cfg})
        self.patch_size = info.patch_size
        self.branch = None
        if self.shared_stages is not None:
            self.branch = partial_copy(info.backbone, self.shared_stages, f'model.auxiliary.{name}.shared_stages')

    @property
    def own_group(self) -> str:
        """Group of the turned images."""
        return self.group if self.groups else f'{self.name}_turned'

    def _size(self, side: int) -> int:
        size = max(1, round(side * self.scale / self.patch_size)) * self.patch_size
        return min(size, side)

    def _labels(self, views: Views, count: int) -> Tensor:
        """``[V * B]`` angles, drawn for every view and image or all of them in turn."""
        batch = views.batch_size
        if self.every_angle:
            return torch.arange(self.angles, device=views.key.device).repeat_interleave(count * batch)
        u = uniforms(views.key, f'{self.name}/angle', count)
        return (u * self.angles).long().clamp(max=self.angles - 1).T.flatten()

    def transform_views(self, views: Views) -> None:
        """Add the group of turned images."""
        if self.group not in views.crops:
            raise UserError(
                f"model.auxiliary.{self.name}.group='{self.group}' is not a group of the views "
                f'({", ".join(views.crops)}); add one to train_dataloader.dataset.views'
            )
        crops, count = views.crops[self.group], views.num_views[self.group]
        images = resized(crops, self._size(crops.shape[-1]))
        labels = self._labels(views, count)
        if self.every_angle:
            images = images.repeat(self.angles, 1, 1, 1)
        turned = rotate_by_label(images, labels, self.angles, self.padding)
        views.params[f'angle/{self.name}'] = self._noisy(views, labels)
        if self.branch is None:
            views.crops[self.own_group] = turned
            views.num_views[self.own_group] = len(turned) // views.batch_size
            views.extra.add(self.own_group)
        else:
            views.targets[self.name] = turned
            if self.groups:
                del views.crops[self.group], views.num_views[self.group]

    def _noisy(self, views: Views, labels: Tensor) -> Tensor:
        if self.label_noise == 0:
            return labels
        repeats = len(labels) // views.batch_size
        u = uniforms(views.key, f'{self.name}/noise', 2 * repeats).reshape(views.batch_size, repeats, 2)
        return wrong_labels(labels, u.transpose(0, 1).flatten(0, 1), self.label_noise, self.angles)

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """The head's loss on features of the turned images; monitored: its accuracy."""
        if self.branch is not None:
            features = self.branch([step.views.targets[self.name]])[0].cls
        elif self.features == 'projector':
            features = step.embed(self.own_group)
        else:
            features = step.tokens[self.own_group].cls
        value, accuracy = self.head.loss(features, step.views.params[f'angle/{self.name}'])
        return value, {'accuracy': accuracy}
