"""iBOT (Zhou et al., ICLR 2022): self-distillation on the class token and on masked patch tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqssl.models.heads.base import Values
from eqssl.models.heads.center import Center
from eqssl.models.heads.dino import DINOHead, teacher_temperature
from eqssl.models.heads.projector import Projector
from eqssl.models.losses import patch_cross_entropy, sinkhorn, teacher_probabilities
from eqssl.models.step import Selected, Step
from eqssl.registry import MODELS
from eqssl.structures import Masks
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island
from eqssl.utils.progress import Progress


@MODELS.register_module()
class IBOTHead(DINOHead):
    """DINO's loss on CLS (all view pairs) and cross-entropy on masked patches (same view).

    The projector runs on CLS and masked tokens only; the official code runs it on every token of every crop and throws
    most results away (25 % of a ViT-S step).

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        out_dim: prototypes for CLS.
        patch_out_dim: prototypes for patches, with ``shared=False``; None takes ``out_dim``.
        shared: one projector for CLS and patches.
        patch_teacher_temp, warmup_patch_teacher_temp: teacher temperature for patches (a number or a schedule); None
            takes the CLS values.
        patch_center: 'masked' (mean over masked tokens, as DINOv2) or 'all' (over all tokens, as the official code; the
            last layer is linear, so only bottlenecks are averaged).
        cls_weight, patch_weight: lambda1, lambda2.
        teacher_temp, warmup_teacher_temp_epochs: as :class:`DINOHead`, with iBOT's defaults.
        center_momentum: of both centers.
        **dino: the other arguments of :class:`DINOHead`.
    """

    needs_masks = True

    def __init__(
        self,
        in_channels: int,
        out_dim: int = 8192,
        patch_out_dim: int | None = None,
        shared: bool = True,
        patch_teacher_temp: float | dict | None = None,
        warmup_patch_teacher_temp: float | None = None,
        patch_center: str = 'masked',
        cls_weight: float = 1.0,
        patch_weight: float = 1.0,
        teacher_temp: float | dict = 0.07,
        warmup_teacher_temp: float = 0.04,
        warmup_teacher_temp_epochs: float = 30,
        center_momentum: float = 0.9,
        hidden: int = 2048,
        bottleneck: int = 256,
        norm_last_layer: bool = True,
        **dino: Any,
    ) -> None:
        super().__init__(
            in_channels,
            out_dim,
            hidden,
            bottleneck,
            norm_last_layer,
            teacher_temp=teacher_temp,
            warmup_teacher_temp=warmup_teacher_temp,
            warmup_teacher_temp_epochs=warmup_teacher_temp_epochs,
            center_momentum=center_momentum,
            **dino,
        )
        if patch_center not in ('masked', 'all'):
            raise UserError(f"patch_center='{patch_center}' is neither 'masked' nor 'all'")
        patch_out_dim = patch_out_dim or out_dim
        if shared and patch_out_dim != out_dim:
            raise UserError(
                f'shared=True uses one projector, but out_dim={out_dim} and patch_out_dim={patch_out_dim}; '
                'make them equal or set shared=False'
            )
        if not shared:
            use_bn = dino.get('use_bn', False)
            self.projector['patch'] = Projector(
                in_channels, hidden, bottleneck, patch_out_dim, 3, norm_last_layer, use_bn
            )
        self.shared = shared
        chosen = teacher_temp if patch_teacher_temp is None else patch_teacher_temp
        first = warmup_teacher_temp if warmup_patch_teacher_temp is None else warmup_patch_teacher_temp
        temperature = teacher_temperature('patch_teacher_temp', chosen, first, warmup_teacher_temp_epochs)
        if min(first, *temperature.values) <= 0:
            raise UserError(f'temperatures of the patch teacher, {first} and {chosen}, must be positive')
        self.temps['patch'] = temperature
        self.needs_all_teacher_patches = patch_center == 'all' and self.centering == 'mean'
        width = bottleneck if self.needs_all_teacher_patches else patch_out_dim
        self.patch_center = Center(width, center_momentum) if self.centering == 'mean' else None
        self.cls_weight, self.patch_weight = cls_weight, patch_weight
        self.columns['patch'] = slice(0, patch_out_dim)

    def reserve_columns(self, count: int) -> None:
        """The last ``count`` prototypes of the shared projector are equivariant features, not classes."""
        if not self.shared:
            raise UserError("model.neck: split_at='head_logits' needs model.head.shared=True")
        if self.needs_all_teacher_patches:
            raise UserError("model.neck: split_at='head_logits' needs model.head.patch_center='masked'")
        super().reserve_columns(count)

    def _project(self, projector: Any, cls: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of CLS and masked tokens; one call when shared."""
        if self.shared:
            both = projector['cls'](torch.cat([cls, masked]), self.columns['cls'])
            return both[: len(cls)], both[len(cls) :]
        return projector['cls'](cls), projector['patch'](masked)

    @torch.no_grad()
    def _teach(self, teacher: Selected, projector: Any, masks: Masks, progress: Progress) -> tuple[Tensor, Tensor]:
        """Teacher probabilities of CLS ``[V * B, K]`` and masked patches ``[M, K]``; adds to the centers."""
        cls_tokens = teacher.cls[self.teacher_group]
        used = (masks.weight > 0).float()
        if self.centering == 'sinkhorn':
            assert teacher.masked is not None
            logits = self._project(projector, cls_tokens, teacher.masked)
            temps = [self.temperature(kind, progress) for kind in ('cls', 'patch')]
            q_cls, q_patch = sinkhorn(logits, temps, weights=[None, used])
            return q_cls, q_patch
        assert self.patch_center is not None
        if self.needs_all_teacher_patches:
            assert teacher.patch is not None
            patch_projector: Projector = projector['cls' if self.shared else 'patch']
            embedded = patch_projector.embed(teacher.patch).flatten(0, 1)
            cls = projector['cls'](cls_tokens)
            patch = patch_projector.last_layer(embedded[masks.index])
            with float32_island(patch.device):
                patch_center = self.patch_center.center @ patch_projector.last_layer.weight().T
            self.patch_center.add(embedded)
        else:
            assert teacher.masked is not None
            cls, patch = self._project(projector, cls_tokens, teacher.masked)
            patch_center = self.patch_center.center
            self.patch_center.add(patch, used)
        q_patch = teacher_probabilities(patch, patch_center, self.temperature('patch', progress))
        return self._teach_cls(cls, progress), q_patch

    def loss(self, step: Step) -> tuple[Values, Values]:
        """See :class:`BaseHead`; iBOT eq. 2 (patches) and DINO's multi-crop loss (CLS)."""
        student, views = step.student, step.views
        assert step.teacher is not None and views.masks is not None and student.masked is not None
        q_cls, q_patch = self._teach(step.teacher, step.teacher_projector, views.masks, step.progress)
        cls, patch = self._project(self.projector, self._student_cls(student), student.masked)
        with float32_island(cls.device):
            value, monitors = self._cls_loss(cls, q_cls, views.batch_size)
            weight, images = views.masks.weight, len(q_cls)
            losses = {
                'loss_cls': self.cls_weight * value,
                'loss_patch': self.patch_weight
                * patch_cross_entropy(patch, q_patch, weight, self.student_temp, images),
            }
            return losses, monitors
