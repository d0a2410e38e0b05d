"""SwAV (Caron et al., NeurIPS 2020): swapped prediction of Sinkhorn assignments, with multi-crop and a queue."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from eqssl.models.heads.base import BaseHead, DataSpec, Values
from eqssl.models.heads.queue import FeatureQueue
from eqssl.models.layers import StepState
from eqssl.models.layers.mlp import mlp
from eqssl.models.losses import cls_cross_entropy, sinkhorn
from eqssl.models.monitors import prototype_monitors, spread
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island, precise
from eqssl.utils.progress import Progress
from eqssl.utils.schedule import Schedule


class UnitPrototypes(StepState, nn.Linear):
    """Prototypes that every real optimizer step puts back to unit length.

    Args:
        width: of an embedding.
        count: of the prototypes.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__(width, count, bias=False)
        self.commit(None, None)

    @torch.no_grad()
    def advance(self, total: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """Unit length."""
        return [(self.weight.data, F.normalize(self.weight, dim=1))]


@MODELS.register_module()
class SwAVHead(BaseHead):
    """Every crop predicts the prototype assignments of the global crops of its image.

    Args:
        in_channels: width of the backbone (or of the neck's invariant part).
        hidden, out_dim, layers: of the projector; its output is L2-normalized.
        prototypes: number of prototypes, kept at unit length after every step.
        temperature: of the predictions.
        epsilon: of the Sinkhorn assignments.
        iterations: of Sinkhorn.
        queue_length: embeddings of former steps, of all ranks together, that join the assignments; 0 for none.
        queue_start_epoch: the queue fills from here and is used once it is full.
        freeze_prototypes_iters: iterations (forward passes) without gradient for the prototypes (313).
        allow_sparse: accept more prototypes than embeddings share in an assignment (EffSSL's ImageNet run has 3000 for
            1024); without it that is refused.
        separate_views: see :class:`BaseHead`; the official code sends all crops of a size through one batch norm in the
            backbone, and all crops together in the projector.
    """

    num_crops = 2
    multi_crop = True
    compares_samples = True

    def __init__(
        self,
        in_channels: int,
        hidden: int = 2048,
        out_dim: int = 128,
        layers: int = 2,
        prototypes: int = 3000,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        queue_length: int = 0,
        queue_start_epoch: float = 15,
        freeze_prototypes_iters: int = 313,
        allow_sparse: bool = False,
        separate_views: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (('temperature', temperature), ('epsilon', epsilon), ('iterations', iterations)):
            if value <= 0:
                raise UserError(f'{name}={value} must be positive')
        if prototypes < 2:
            raise UserError(f'prototypes={prototypes}: at least 2 are needed')
        if queue_length < 0:
            raise UserError(f'queue_length={queue_length} is negative')
        self.in_channels, self.out_dim, self.separate_views = in_channels, out_dim, separate_views
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self.prototypes_move, self.allow_sparse = Schedule.switch(freeze_prototypes_iters, 'iter'), allow_sparse
        self.projector = mlp(in_channels, hidden, out_dim, layers)
        self.prototypes = UnitPrototypes(out_dim, prototypes)
        self.queue = FeatureQueue(queue_length, out_dim, self.num_crops) if queue_length else None
        self.queue_fills = Schedule.switch(queue_start_epoch, 'epoch')

    def frozen_parameters(self, progress: Progress) -> list[nn.Parameter]:
        """The prototypes, in the first iterations."""
        return [] if self.prototypes_move(progress) else list(self.prototypes.parameters())

    def embed(self, projector: nn.Module, cls: Tensor) -> Tensor:
        """The L2-normalized projection, normalized in float32."""
        x = projector(cls)
        with float32_island(x.device):
            return F.normalize(precise(x), dim=-1)

    @torch.no_grad()
    def _assign(self, scores: Tensor, embeddings: Tensor, progress: Progress) -> Tensor:
        """Assignments ``[2, B, K]`` of the global crops, each crop for itself, with the queue where it is full.

        Args:
            scores: ``[2, B, K]`` cosines to the prototypes.
            embeddings: ``[2, B, E]``.
            progress: of the run.
        """
        logits, weights = list(scores.detach().unbind()), None
        if self.queue is not None and self.queue_fills(progress):
            stored, valid = self.queue.own_part()
            old = stored @ precise(self.prototypes.weight).T
            logits = [torch.cat([new, o]) for new, o in zip(logits, old, strict=True)]
            weights = [torch.cat([scores.new_ones(scores.shape[1]), valid])] * len(logits)
            self.queue.push(embeddings.detach())
        plans = sinkhorn(logits, [self.epsilon] * len(logits), self.iterations, weights)
        return torch.stack([q[: scores.shape[1]] for q in plans])

    def loss(self, step: Step) -> tuple[Values, Values]:
        """See :class:`BaseHead`; SwAV eq. 2 over all pairs (global crop, other crop)."""
        first, crops = self.teacher_group, step.student.cls
        groups = [first, *(name for name in crops if name != first)]
        tokens = torch.cat([crops[name] for name in groups])  # one batch norm over all crops, as the official code
        count = sum(step.views.num_views[name] for name in groups)
        embeddings = self.by_view(lambda x: self.embed(self.projector, x), tokens, count)
        with float32_island(embeddings.device):
            scores = embeddings @ precise(self.prototypes.weight).T
            targets = self._assign(scores[:2], embeddings[:2], step.progress)
            value = cls_cross_entropy(scores, targets, self.temperature)
        monitors = {**prototype_monitors(scores, targets), 'embedding_std': spread(embeddings[0])}
        return {'loss_swav': value}, monitors

    def check_data(self, data: DataSpec) -> None:
        """See :class:`BaseHead`; the queue and the prototypes must fit the batch."""
        super().check_data(data)
        length = self.queue.length if self.queue is not None else 0
        step = data.total * data.accumulate
        if length and (length % step or length % data.ranks):
            raise UserError(
                f'queue_length={length} is not a multiple of the {step} images of an optimizer step '
                f'({data.ranks} ranks x {data.per_rank} images x {data.accumulate}); set it to '
                f'{max(1, round(length / step)) * step}'
            )
        if length > data.images:
            raise UserError(
                f'queue_length={length} exceeds the {data.images} images of the data: it would hold an '
                'image twice; make it smaller'
            )
        count = self.prototypes.out_features
        if count > data.total + length and not self.allow_sparse:
            raise UserError(
                f'prototypes={count} exceed the {data.total + length} embeddings that share them (batch '
                f'{data.total} + queue {length}): most would stay empty; lower prototypes, raise the batch or '
                'queue_length, or set model.head.allow_sparse=True'
            )
