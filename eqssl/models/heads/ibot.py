"""iBOT (Zhou et al., ICLR 2022): self-distillation on the class token and on masked patch tokens."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from eqssl.models.heads.base import BaseHead, HeadInput
from eqssl.models.heads.center import Center, update_centers
from eqssl.models.heads.projector import Projector
from eqssl.models.losses import (
    cls_cross_entropy,
    patch_cross_entropy,
    teacher_probabilities,
)
from eqssl.registry import MODELS
from eqssl.structures import Masks, Views
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island
from eqssl.utils.progress import Progress, linear_warmup


@MODELS.register_module()
class IBOTHead(BaseHead):
    """Cross-entropy of student and centered teacher on CLS (all view pairs) and on masked patches (same view).

    The projector runs on CLS and masked tokens only; the official code runs it on every token of every crop and throws
    most results away (25 % of a ViT-S step).

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        out_dim: prototypes for CLS.
        patch_out_dim: prototypes for patches, with ``shared=False``; None takes ``out_dim``.
        shared: one projector for CLS and patches.
        hidden, bottleneck, norm_last_layer: see :class:`Projector`.
        student_temp: temperature of the student.
        teacher_temp, warmup_teacher_temp, warmup_teacher_temp_epochs: linear warm-up of the CLS temperature.
        patch_teacher_temp, warmup_patch_teacher_temp: the same for patches; None takes the CLS values.
        center_momentum: of both centers.
        patch_center: 'masked' (mean over masked tokens, as DINOv2) or 'all' (over all tokens, as the official code; the
            last layer is linear, so only bottlenecks are averaged).
        cls_weight, patch_weight: lambda1, lambda2.
        momentum: of the teacher at the start.
        freeze_last_layer_epochs: epochs without gradient for the prototypes.
    """

    needs_teacher = True
    needs_masks = True

    def __init__(
        self,
        in_channels: int,
        out_dim: int = 8192,
        patch_out_dim: int | None = None,
        shared: bool = True,
        hidden: int = 2048,
        bottleneck: int = 256,
        norm_last_layer: bool = True,
        student_temp: float = 0.1,
        teacher_temp: float = 0.07,
        warmup_teacher_temp: float = 0.04,
        warmup_teacher_temp_epochs: float = 30,
        patch_teacher_temp: float | None = None,
        warmup_patch_teacher_temp: float | None = None,
        center_momentum: float = 0.9,
        patch_center: str = 'masked',
        cls_weight: float = 1.0,
        patch_weight: float = 1.0,
        momentum: float = 0.996,
        freeze_last_layer_epochs: int = 1,
    ) -> None:
        super().__init__()
        for name, value in (('student_temp', student_temp), ('teacher_temp', teacher_temp)):
            if value <= 0:
                raise UserError(f'model.head.{name}={value} must be positive')
        if patch_center not in ('masked', 'all'):
            raise UserError(f"model.head.patch_center='{patch_center}' is neither 'masked' nor 'all'")
        patch_out_dim = patch_out_dim or out_dim
        if shared and patch_out_dim != out_dim:
            raise UserError(
                f'model.head: shared=True uses one projector, but out_dim={out_dim} and patch_out_dim={patch_out_dim}; '
                'make them equal or set shared=False'
            )

        def build(dim: int) -> Projector:
            return Projector(in_channels, hidden, bottleneck, dim, norm_last_layer=norm_last_layer)

        self.projector: Any = nn.ModuleDict({'cls': build(out_dim)})
        if not shared:
            self.projector['patch'] = build(patch_out_dim)
        self.in_channels, self.out_dim, self.shared = in_channels, out_dim, shared
        self.student_temp = student_temp
        self.temps = {
            'cls': (warmup_teacher_temp, teacher_temp),
            'patch': (warmup_patch_teacher_temp or warmup_teacher_temp, patch_teacher_temp or teacher_temp),
        }
        self.temp_epochs = warmup_teacher_temp_epochs
        self.cls_center = Center(out_dim, center_momentum)
        self.needs_all_teacher_patches = patch_center == 'all'
        self.patch_center = Center(bottleneck if patch_center == 'all' else patch_out_dim, center_momentum)
        self.cls_weight, self.patch_weight, self.momentum = cls_weight, patch_weight, momentum
        self.freeze_last_layer_epochs = freeze_last_layer_epochs
        self.columns = {'cls': slice(0, out_dim), 'patch': slice(0, patch_out_dim)}

    def reserve_columns(self, count: int) -> None:
        """The last ``count`` prototypes of the patch projector are equivariant features, not classes."""
        if not self.shared:
            raise UserError("model.neck: split_at='head_logits' needs model.head.shared=True")
        if self.needs_all_teacher_patches:
            raise UserError("model.neck: split_at='head_logits' needs model.head.patch_center='masked'")
        self.columns = dict.fromkeys(self.columns, slice(0, self.out_dim - count))
        momentum = self.cls_center.momentum
        self.cls_center, self.patch_center = (Center(self.out_dim - count, momentum) for _ in range(2))

    def equivariant_logits(self, patch: Tensor, count: int) -> Tensor:
        """The last ``count`` prototype logits of patch tokens, ``[n, N, count]``."""
        projector = self.projector['cls']
        return projector(patch, slice(self.out_dim - count, self.out_dim))

    def last_layer_parameters(self) -> list[nn.Parameter]:
        """The prototypes."""
        return [p for proj in self.projector.values() for p in proj.last_layer.parameters() if p.requires_grad]

    def temperature(self, kind: str, progress: Progress) -> float:
        """Teacher temperature of 'cls' or 'patch'."""
        start, end = self.temps[kind]
        return linear_warmup(start, end, progress.epoch, self.temp_epochs)

    def _project(self, projector: Any, cls: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of CLS and masked tokens; one call when shared."""
        if self.shared:
            both = projector['cls'](torch.cat([cls, masked]), self.columns['cls'])
            return both[: len(cls)], both[len(cls) :]
        return projector['cls'](cls), projector['patch'](masked)

    @torch.no_grad()
    def _teach(self, teacher: HeadInput, projector: Any, masks: Masks, progress: Progress) -> tuple[Tensor, Tensor]:
        """Teacher probabilities of CLS ``[V * B, K]`` and masked patches ``[M, K]``; adds to the centers."""
        cls_tokens = teacher.cls[self.teacher_group]
        temps = {kind: self.temperature(kind, progress) for kind in ('cls', 'patch')}
        used = (masks.weight > 0).float()
        patch_projector: Projector = projector['cls' if self.shared else 'patch']
        if self.needs_all_teacher_patches:
            assert teacher.patch is not None
            embedded = patch_projector.embed(teacher.patch).flatten(0, 1)
            cls = projector['cls'](cls_tokens)
            patch = patch_projector.last_layer(embedded[masks.index])
            weight = patch_projector.last_layer.weight()
            patch_center = self.patch_center.center @ weight.T
            self.patch_center.add(embedded)
        else:
            assert teacher.masked is not None
            cls, patch = self._project(projector, cls_tokens, teacher.masked)
            patch_center = self.patch_center.center
            self.patch_center.add(patch, used)
        q_cls = teacher_probabilities(cls, self.cls_center.center, temps['cls'])
        q_patch = teacher_probabilities(patch, patch_center, temps['patch'])
        self.cls_center.add(cls)
        return q_cls, q_patch

    def loss(
        self,
        student: HeadInput,
        teacher: HeadInput | None,
        teacher_projector: nn.Module | None,
        views: Views,
        progress: Progress,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """See :class:`BaseHead`; iBOT eq. 2 (patches) and DINO's multi-crop loss (CLS)."""
        assert teacher is not None and views.masks is not None and student.masked is not None
        assert isinstance(teacher_projector, nn.ModuleDict)
        q_cls, q_patch = self._teach(teacher, teacher_projector, views.masks, progress)
        names = [self.teacher_group] + [n for n in student.cls if n != self.teacher_group]
        cls_tokens = torch.cat([student.cls[n] for n in names])
        cls, patch = self._project(self.projector, cls_tokens, student.masked)
        with float32_island(cls.device):
            batch = views.batch_size
            s, q = cls.unflatten(0, (-1, batch)), q_cls.unflatten(0, (-1, batch))
            losses = {
                'loss_cls': self.cls_weight * cls_cross_entropy(s, q, self.student_temp),
                'loss_patch': self.patch_weight
                * patch_cross_entropy(patch, q_patch, views.masks.weight, self.student_temp, len(q_cls)),
            }
            return losses, self._monitor(s, q, student.cls[self.teacher_group])

    @torch.no_grad()
    def _monitor(self, student: Tensor, teacher: Tensor, features: Tensor) -> dict[str, Tensor]:
        """Signs of health and of collapse, device scalars."""
        entropy = -(teacher * teacher.clamp(min=1e-12).log()).sum(-1).mean()
        mean = teacher.flatten(0, 1).mean(0)
        normalized = F.normalize(features.float(), dim=-1)
        return {
            'teacher_entropy': entropy,  # 0: sharp; log K: uniform
            'prototype_entropy': -(mean * mean.clamp(min=1e-12).log()).sum(),  # near 0: one prototype for all
            'agreement': (student[1].argmax(-1) == teacher[0].argmax(-1)).float().mean(),
            'feature_std': normalized.std(0, correction=0).mean()
            * normalized.shape[1] ** 0.5,  # 1: spread, 0: collapse
        }

    def after_step(self, finite: Tensor | None) -> None:
        """Move both centers, with one all-reduce."""
        update_centers([self.cls_center, self.patch_center], finite)
