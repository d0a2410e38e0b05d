"""What a base SSL method is to the algorithm class: a head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn as nn
from torch import Tensor

from eqssl.structures import Views
from eqssl.utils.progress import Progress


@dataclass
class HeadInput:
    """Selected tokens of one network, nothing that would be thrown away.

    Attributes:
        cls: size group -> ``[V * B, D]``, view-major.
        masked: ``[M, D]`` tokens at ``views.masks.index`` (padded), for heads with ``needs_masks``.
        patch: ``[V * B, N, D]`` all tokens of the masked group, for heads with ``needs_all_teacher_patches``.
    """

    cls: dict[str, Tensor]
    masked: Tensor | None = None
    patch: Tensor | None = None


class BaseHead(nn.Module):
    """A base method: projector (and predictor, queue, centers) and the loss on selected tokens.

    Subclasses set the declarations, fill ``projector`` and write :meth:`loss`.

    Attributes:
        needs_teacher: whether an EMA teacher is built.
        needs_masks: whether the student sees masked global crops and the head gets their tokens.
        needs_all_teacher_patches: whether the teacher's whole patch map is handed over.
        teacher_group: the size group that the teacher sees.
        momentum: EMA momentum at the start (it rises to 1 with a cosine).
        projector: the part that the teacher has a copy of.
        freeze_last_layer_epochs: epochs without gradient for :meth:`last_layer_parameters`.
    """

    needs_teacher: bool = False
    needs_masks: bool = False
    needs_all_teacher_patches: bool = False
    teacher_group: str = 'global'
    momentum: float = 0.996
    freeze_last_layer_epochs: int = 0
    projector: Any

    def loss(
        self,
        student: HeadInput,
        teacher: HeadInput | None,
        teacher_projector: nn.Module | None,
        views: Views,
        progress: Progress,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses (summed by the trainer) and monitored values (no key with 'loss'), all device scalars."""
        raise NotImplementedError

    def last_layer_parameters(self) -> list[nn.Parameter]:
        """Parameters without gradient in the first ``freeze_last_layer_epochs``."""
        return []

    def after_step(self, finite: Tensor | None) -> None:
        """Called after every real optimizer step; ``finite`` is a device bool, False if the step was skipped."""

    def reserve_columns(self, count: int) -> None:
        """Leave the last ``count`` outputs to the equivariant part (neck ``split_at='head_logits'``)."""
        raise NotImplementedError(f'{type(self).__name__} has no output columns to reserve')
