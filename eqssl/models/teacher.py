"""The EMA teacher inside the model."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from eqssl.models.necks import Neck
    from eqssl.models.pretrainer import SSLPretrainer


class EMATeacher(nn.Module):
    """A copy of backbone, projector and (where the head sees it) neck that follows the student.

    It has no gradient, never drops anything (iBOT, DINO), and is saved with the model. Its batch norms, where it has
    any, use the statistics of the batch while the model trains, as the official code of BYOL, MoCo v3 and DINO does.
    """

    def __init__(self, backbone: nn.Module, projector: nn.Module, neck: Neck | None = None) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone)
        self.projector = copy.deepcopy(projector)
        self.neck: Neck | None = copy.deepcopy(neck)
        self.requires_grad_(False)
        self._pairs: tuple[list[Tensor], list[Tensor]] | None = None

    def train(self, mode: bool = True) -> EMATeacher:
        """The teacher stays in eval mode, but for its batch norms."""
        super().train(False)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.training = mode
        return self

    def _find_pairs(self, student: SSLPretrainer) -> tuple[list[Tensor], list[Tensor]]:
        """(teacher tensors, student tensors), found once."""
        if self._pairs is None:
            modules = [('backbone', student.backbone), ('projector', student.head.projector)]
            if self.neck is not None:
                modules.append(('neck', student.neck))
            mine: list[Tensor] = []
            theirs: list[Tensor] = []
            for name, module in modules:
                own = dict(getattr(self, name).named_parameters())
                for key, parameter in module.named_parameters():
                    mine.append(own[key].data)
                    theirs.append(parameter.data)
            self._pairs = (mine, theirs)
        return self._pairs

    @torch.no_grad()
    def copy_from(self, student: SSLPretrainer) -> None:
        """Set every parameter and buffer to the student's."""
        self._pairs = None
        mine, theirs = self._find_pairs(student)
        torch._foreach_copy_(mine, theirs)
        sources = {'backbone': student.backbone, 'projector': student.head.projector, 'neck': student.neck}
        for name, own in self.named_children():
            theirs_by_name = dict(sources[name].named_buffers())
            for key, buffer in own.named_buffers():
                buffer.copy_(theirs_by_name[key])
        self._pairs = None  # tensors may still move to another device

    @torch.no_grad()
    def update(self, student: SSLPretrainer, momentum: float, finite: Tensor | None) -> None:
        """teacher += (1 - momentum) (student - teacher), in a handful of calls and without a host read.

        Args:
            student: the model with ``backbone``, ``head`` and ``neck``.
            momentum: in [0, 1].
            finite: device bool; where False nothing moves. None means True.
        """
        mine, theirs = self._find_pairs(student)
        if finite is None:
            torch._foreach_lerp_(mine, theirs, 1 - momentum)
            return
        step = torch._foreach_sub(theirs, mine)
        torch._foreach_mul_(step, finite.to(mine[0].dtype) * (1 - momentum))
        torch._foreach_add_(mine, step)
