"""The same iBOT step in the order of work of the published code (bytedance/ibot, main_ibot.py, models/head.py).

Written anew from what that code does, with this project's modules, to tell layout from kernels: attention as plain
products, the head on every token of every crop, losses over pairs in a loop, gradients clipped and the teacher moved
parameter by parameter, every loss read by the host. Centers and schedules, which cost nothing, are left out.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


class OfficialLayout:
    """A step on one batch.

    Args:
        trained: model and optimizer, see ``correctness.Trained``.
        data: a batch on the device.
    """

    def __init__(self, trained: Any, data: dict[str, Any]) -> None:
        self.model, self.wrapper = trained.model, trained.wrapper
        self.views = self.model.data_preprocessor(data, True)['views']

    def _logits(self, network: Any, projector: Any, group: str, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Head outputs of CLS and of every patch of a size group."""
        tokens = network([self.views.crops[group]], None if masks is None else [masks], ())[0]
        head = projector['cls']
        both = head(torch.cat([tokens.cls[:, None], tokens.patch], 1))
        return both[:, 0], both[:, 1:]

    def _loss(self) -> Tensor:
        views, grid, teacher = self.views, self.views.masks.grid, self.model.teacher
        with torch.no_grad():
            teach_cls, teach_patch = self._logits(teacher.backbone, teacher.projector, 'global', None)
        cls, patch = self._logits(self.model.backbone, self.model.head.projector, 'global', grid)
        chunks = list(cls.float().chunk(2))
        if 'local' in views.crops:
            local, _ = self._logits(self.model.backbone, self.model.head.projector, 'local', None)
            chunks += list(local.float().chunk(views.num_views['local']))
        targets = [F.softmax(q.float() / 0.04, -1) for q in teach_cls.chunk(2)]
        patch_targets = [F.softmax(q.float() / 0.04, -1) for q in teach_patch.chunk(2)]
        patches, masks = patch.float().chunk(2), grid.chunk(2)
        total, pairs, patch_total = cls.new_zeros((), dtype=torch.float32), 0, cls.new_zeros((), dtype=torch.float32)
        for i, target in enumerate(targets):
            for j, student in enumerate(chunks):
                if i == j:
                    each = -(patch_targets[i] * F.log_softmax(patches[j] / 0.1, -1)).sum(-1)
                    weight = masks[j].float()
                    patch_total = patch_total + ((each * weight).sum(-1) / weight.sum(-1).clamp(min=1)).mean() / 2
                else:
                    total = total - (target * F.log_softmax(student / 0.1, -1)).sum(-1).mean()
                    pairs += 1
        return total / pairs + patch_total

    def step(self) -> float:
        """Forward, backward, clip, optimizer, teacher; the loss as a number of the host."""
        with sdpa_kernel(SDPBackend.MATH), self.wrapper.optim_context(self.model):
            loss = self._loss()
        value = loss.item()
        loss.backward()
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                factor = 3.0 / (parameter.grad.norm(2) + 1e-6)
                if factor < 1:
                    parameter.grad.mul_(factor)
        self.wrapper.optimizer.step()
        self.wrapper.optimizer.zero_grad()
        with torch.no_grad():
            pairs = zip(self.model.backbone.parameters(), self.model.teacher.backbone.parameters(), strict=True)
            for student, teacher in pairs:
                teacher.data.mul_(0.996).add_(0.004 * student.data)
        return value
