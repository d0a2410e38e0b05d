"""What a base SSL method is to the algorithm class: a head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.models.step import Step
from eqssl.structures import Views
from eqssl.utils.errors import UserError
from eqssl.utils.progress import Progress
from eqssl.utils.schedule import Schedule

Values = dict[str, Tensor]


@dataclass
class DataSpec:
    """What the data gives a head in one step of the whole job (see :meth:`BaseHead.check_data`).

    Attributes:
        views: size group -> number of crops of an image.
        classes: number of classes, 0 where an image has no label.
        images: in the data set.
        per_rank: images of one rank in one forward pass.
        ranks: number of ranks.
        accumulate: forward passes per optimizer step.
    """

    views: dict[str, int]
    classes: int
    images: int
    per_rank: int
    ranks: int
    accumulate: int = 1

    @property
    def total(self) -> int:
        """Images of all ranks in one forward pass."""
        return self.per_rank * self.ranks


class BaseHead(nn.Module):
    """A base method: projector (and predictor, queue, centers) and the loss on selected tokens.

    Subclasses set the declarations, fill ``projector`` and write :meth:`loss`.

    Attributes:
        in_channels: width of the features that the head reads.
        out_dim: width of its output.
        needs_teacher: whether an EMA teacher is built.
        needs_masks: whether the student sees masked global crops and the head gets their tokens.
        needs_all_teacher_patches: whether the teacher's whole patch map is handed over.
        needs_labels: whether ``views.label`` is read.
        num_crops: crops of ``teacher_group`` that the method takes, None for any number.
        multi_crop: whether other groups (local crops) are read too.
        separate_views: whether batch norm sees the views of a group one by one, as in the method's publication (only
            matters where there is a batch norm).
        compares_samples: whether the loss needs at least two images in a batch.
        teacher_group: the size group that the teacher sees.
        momentum: EMA momentum of the teacher: a number, from which it rises to 1 with a cosine over the run, or a
            schedule.
        projector: the part that the teacher has a copy of.
        prototype_dims: number of prototypes where they are the invariant part of d_patch (DINO, iBOT), else None.
    """

    in_channels: int
    out_dim: int
    needs_teacher: bool = False
    needs_masks: bool = False
    needs_all_teacher_patches: bool = False
    needs_labels: bool = False
    num_crops: int | None = 2
    multi_crop: bool = False
    separate_views: bool = False
    compares_samples: bool = False
    teacher_group: str = 'global'
    momentum: float | dict[str, Any] | Schedule = 0.996
    projector: Any
    prototype_dims: int | None = None

    def loss(self, step: Step) -> tuple[Values, Values]:
        """Losses (summed by the trainer) and monitored values (no key with 'loss'), all device scalars.

        ``agreement`` among the values says how well the two networks or views agree.
        """
        raise NotImplementedError

    @property
    def embedding_dims(self) -> int:
        """Width E of :meth:`embed`."""
        return self.out_dim

    def embed(self, projector: Any, cls: Tensor) -> Tensor:
        """The method's embedding of class tokens, ``[n, D]`` to ``[n, E]`` ('inv' of ``SSLPretrainer.predict``)."""
        return projector(cls)

    def transform_views(self, views: Views) -> None:
        """Change the views before normalization, where the method itself is a transformation (RotNet)."""

    def ema(self) -> Schedule:
        """The teacher's momentum over the run.

        Raises:
            UserError: it leaves [0, 1].
        """
        found = Schedule.of(self.momentum, 'momentum', end=1.0, shape='cosine', unit='run', before=None)
        if not all(0 <= value <= 1 for value in found.values):
            raise UserError(f'momentum={self.momentum} is not in [0, 1]')
        return found

    def frozen_parameters(self, progress: Progress) -> list[nn.Parameter]:
        """Parameters that take no gradient at this point of the run."""
        return []

    def reserve_columns(self, count: int) -> None:
        """Leave the last ``count`` outputs to the equivariant part (neck ``split_at='head_logits'``)."""
        raise UserError(f"model.neck: split_at='head_logits' needs a head with prototypes, not {type(self).__name__}")

    def equivariant_logits(self, patch: Tensor, count: int) -> Tensor:
        """The reserved columns of patch tokens ``[n, N, D]``, ``[n, N, count]``."""
        raise NotImplementedError

    def check_data(self, data: DataSpec) -> None:
        """Refuse data that the method cannot be trained with.

        Raises:
            UserError: names the config key.
        """
        name, group = type(self).__name__, self.teacher_group
        crops = data.views.get(group, 0)
        if crops == 0 or (self.num_crops is not None and crops != self.num_crops):
            raise UserError(
                f"{name} takes {self.num_crops or 'at least 1'} crops of group '{group}', but "
                f'train_dataloader.dataset.views has {crops}'
            )
        extra = sorted(set(data.views) - {group})
        if extra and not self.multi_crop:
            raise UserError(
                f"{name} reads crops of group '{group}' alone; remove group '{extra[0]}' from "
                'train_dataloader.dataset.views'
            )
        if self.needs_labels and data.classes == 0:
            raise UserError(
                f'{name} needs labels, but the images have none; set '
                'train_dataloader.dataset.source.with_label=True (folders are classes) or take another head'
            )
        if self.compares_samples and data.total < 2:
            raise UserError(
                f'{name} compares the images of a batch; train_dataloader.batch_size={data.per_rank} must be at least 2'
            )

    def by_view(self, module: Callable[[Tensor], Tensor], x: Tensor, views: int) -> Tensor:
        """``[V * B, D]`` through a module to ``[V, B, E]``; view by view where batch norm shall not mix them."""
        if self.separate_views:
            return torch.stack([module(part) for part in x.chunk(views)])
        return module(x).unflatten(0, (views, -1))


class TwoViewHead(BaseHead):
    """A base method on two projected views; subclasses write :meth:`compare`."""

    def compare(self, projections: Tensor, targets: Tensor | None, views: Views) -> tuple[Values, Values]:
        """Losses and monitored values.

        Args:
            projections: ``[2, B, E]`` of the student.
            targets: ``[2, B, E]`` of the teacher, without gradient; None without a teacher.
            views: of the batch.
        """
        raise NotImplementedError

    def loss(self, step: Step) -> tuple[Values, Values]:
        """See :class:`BaseHead`."""
        group, targets = self.teacher_group, None
        if step.teacher is not None:
            with torch.no_grad():
                targets = self.by_view(step.teacher_projector, step.teacher.cls[group], 2)
        return self.compare(self.by_view(self.projector, step.student.cls[group], 2), targets, step.views)
