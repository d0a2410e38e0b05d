"""DINOv2 (Oquab et al., TMLR 2024): iBOT's losses with KoLeo, Sinkhorn or centering, shared or separate heads."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from eqssl.models.heads.base import DataSpec, Values
from eqssl.models.heads.ibot import IBOTHead
from eqssl.models.losses import koleo
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island


@MODELS.register_module()
class DINOv2Head(IBOTHead):
    """DINO + iBOT + KoLeo; the defaults are those of the official ``vitl16_short`` recipe.

    The official sums (local / 18 + 2 global / 18 with 8 local crops; patches x 2 / 2) are the means over view pairs and
    over views that :class:`IBOTHead` takes. The long recipe has ``shared=False, centering='sinkhorn'``.

    Args:
        in_channels: width of the backbone.
        out_dim: prototypes of the CLS head; ``patch_out_dim`` those of a separate patch head.
        koleo_weight: of KoLeo on the backbone's class tokens, summed over the global crops; 0 leaves it out.
        koleo_across_ranks: see :func:`eqssl.models.losses.koleo`; the official code has False.
        momentum: of the teacher at the start.
        norm_last_layer: fix the norm of the prototypes; the official code learns it.
        **ibot: the other arguments of :class:`IBOTHead` and :class:`DINOHead`.
    """

    def __init__(
        self,
        in_channels: int,
        out_dim: int = 65536,
        koleo_weight: float = 0.1,
        koleo_across_ranks: bool = True,
        momentum: float = 0.992,
        norm_last_layer: bool = False,
        **ibot: Any,
    ) -> None:
        super().__init__(in_channels, out_dim, momentum=momentum, norm_last_layer=norm_last_layer, **ibot)
        if koleo_weight < 0:
            raise UserError(f'koleo_weight={koleo_weight} is negative')
        self.koleo_weight, self.koleo_across_ranks = koleo_weight, koleo_across_ranks
        self.compares_samples = koleo_weight > 0

    def loss(self, step: Step) -> tuple[Values, Values]:
        """See :class:`BaseHead`."""
        losses, monitors = super().loss(step)
        if self.koleo_weight > 0:
            tokens: Tensor = step.student.cls[self.teacher_group]
            with float32_island(tokens.device):
                terms = [koleo(part, self.koleo_across_ranks) for part in tokens.split(step.views.batch_size)]
                losses['loss_koleo'] = self.koleo_weight * sum(terms[1:], terms[0])
        return losses, monitors

    def check_data(self, data: DataSpec) -> None:
        """See :class:`BaseHead`; KoLeo needs a neighbor."""
        super().check_data(data)
        if self.koleo_weight > 0 and not self.koleo_across_ranks and data.per_rank < 2:
            raise UserError(
                f'koleo_across_ranks=False looks for neighbors on one rank; train_dataloader.batch_size='
                f'{data.per_rank} must be at least 2'
            )
