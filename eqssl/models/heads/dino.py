"""DINO (Caron et al., ICCV 2021): self-distillation on the class token with multi-crop."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.models.heads.base import BaseHead, Values
from eqssl.models.heads.center import Center
from eqssl.models.heads.projector import Projector
from eqssl.models.losses import cls_cross_entropy, sinkhorn, teacher_probabilities
from eqssl.models.monitors import prototype_monitors
from eqssl.models.step import Selected, Step
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island
from eqssl.utils.progress import Progress
from eqssl.utils.schedule import Schedule


def teacher_temperature(name: str, value: float | dict, first: float, epochs: float) -> Schedule:
    """A number after a linear warm-up from ``first`` in so many epochs, or a schedule with a warm-up of its own."""
    if isinstance(value, dict):
        return Schedule.of(value, name, before=None)
    return Schedule.of(value, name, warmup=epochs, warmup_start=first)


@MODELS.register_module()
class DINOHead(BaseHead):
    """Cross-entropy of student and centered, sharpened teacher over all pairs (teacher view, other student view).

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        out_dim: prototypes.
        hidden, bottleneck, norm_last_layer, use_bn: see :class:`Projector`.
        student_temp: temperature of the student.
        teacher_temp, warmup_teacher_temp, warmup_teacher_temp_epochs: linear warm-up of the teacher's temperature;
            ``teacher_temp`` may be a schedule, which has its own warm-up.
        centering: 'mean' (a running center is subtracted) or 'sinkhorn' (DINOv2; three iterations over all ranks).
        center_momentum: of the running center.
        momentum: of the teacher, see :class:`BaseHead`.
        freeze_last_layer_epochs: epochs without gradient for the prototypes.
    """

    needs_teacher = True
    multi_crop = True
    num_crops = 2

    def __init__(
        self,
        in_channels: int,
        out_dim: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
        norm_last_layer: bool = True,
        student_temp: float = 0.1,
        teacher_temp: float | dict = 0.04,
        warmup_teacher_temp: float = 0.04,
        warmup_teacher_temp_epochs: float = 0,
        centering: str = 'mean',
        center_momentum: float = 0.9,
        momentum: float | dict = 0.996,
        freeze_last_layer_epochs: float = 1,
        use_bn: bool = False,
    ) -> None:
        super().__init__()
        temperature = teacher_temperature('teacher_temp', teacher_temp, warmup_teacher_temp, warmup_teacher_temp_epochs)
        for name, value in (('student_temp', student_temp), ('warmup_teacher_temp', warmup_teacher_temp)):
            if value <= 0:
                raise UserError(f'{name}={value} must be positive')
        if min(temperature.values) <= 0:
            raise UserError(f'teacher_temp={teacher_temp} must be positive')
        if centering not in ('mean', 'sinkhorn'):
            raise UserError(f"centering='{centering}' is neither 'mean' nor 'sinkhorn'")
        if out_dim < 2:
            raise UserError(f'out_dim={out_dim}: at least 2 prototypes are needed')
        projector = Projector(in_channels, hidden, bottleneck, out_dim, 3, norm_last_layer, use_bn)
        self.projector: Any = nn.ModuleDict({'cls': projector})
        self.in_channels, self.out_dim, self.prototype_dims = in_channels, out_dim, out_dim
        self.student_temp, self.centering, self.momentum = student_temp, centering, momentum
        self.temps = {'cls': temperature}
        self.cls_center = Center(out_dim, center_momentum) if centering == 'mean' else None
        self.last_layer_moves = Schedule.switch(freeze_last_layer_epochs, 'epoch')
        self.columns = {'cls': slice(0, out_dim)}

    # -- shared with the neck ------------------------------------------------------------------------------------

    def reserve_columns(self, count: int) -> None:
        """The last ``count`` prototypes are equivariant features, not classes."""
        self.columns = dict.fromkeys(self.columns, slice(0, self.out_dim - count))
        for name in ('cls_center', 'patch_center'):
            center = getattr(self, name, None)
            if center is not None:
                setattr(self, name, Center(self.out_dim - count, center.momentum))

    def equivariant_logits(self, patch: Tensor, count: int) -> Tensor:
        """The last ``count`` prototype logits of patch tokens, ``[n, N, count]``."""
        return self.projector['cls'](patch, slice(self.out_dim - count, self.out_dim))

    @property
    def embedding_dims(self) -> int:
        """Width of the bottleneck."""
        return self.projector['cls'].last_layer.weight_v.shape[1]

    def embed(self, projector: Any, cls: Tensor) -> Tensor:
        """The L2-normalized bottleneck."""
        return projector['cls'].embed(cls)

    # -- schedule ------------------------------------------------------------------------------------------------

    def frozen_parameters(self, progress: Progress) -> list[nn.Parameter]:
        """The prototypes, in the first epochs."""
        if self.last_layer_moves(progress):
            return []
        return [p for proj in self.projector.values() for p in proj.last_layer.parameters() if p.requires_grad]

    def temperature(self, kind: str, progress: Progress) -> float:
        """Teacher temperature of 'cls' or 'patch'."""
        return self.temps[kind](progress)

    # -- the loss ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _teach_cls(self, logits: Tensor, progress: Progress) -> Tensor:
        """Teacher probabilities of ``[G * B, K]`` logits; adds to the center."""
        temperature = self.temperature('cls', progress)
        if self.cls_center is None:
            return sinkhorn([logits], [temperature])[0]
        targets = teacher_probabilities(logits, self.cls_center.center, temperature)
        self.cls_center.add(logits)
        return targets

    def _student_cls(self, student: Selected) -> Tensor:
        """Class tokens of all groups, the teacher's group first, ``[V * B, D]``."""
        first = self.teacher_group
        return torch.cat([student.cls[first], *(x for name, x in student.cls.items() if name != first)])

    def _cls_loss(self, logits: Tensor, targets: Tensor, batch: int) -> tuple[Tensor, Values]:
        """DINO eq. 3 and monitors from student logits ``[V * B, K]`` and targets ``[G * B, K]``."""
        s, q = logits.unflatten(0, (-1, batch)), targets.unflatten(0, (-1, batch))
        return cls_cross_entropy(s, q, self.student_temp), prototype_monitors(s, q)

    def loss(self, step: Step) -> tuple[Values, Values]:
        """See :class:`BaseHead`; DINO eq. 3."""
        assert step.teacher is not None
        with torch.no_grad():
            taught = step.teacher_projector['cls'](step.teacher.cls[self.teacher_group], self.columns['cls'])
        targets = self._teach_cls(taught, step.progress)
        logits = self.projector['cls'](self._student_cls(step.student), self.columns['cls'])
        with float32_island(logits.device):
            value, monitors = self._cls_loss(logits, targets, step.views.batch_size)
        return {'loss_cls': value}, monitors
