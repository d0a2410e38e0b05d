"""Rescuing easy samples (Wang, Krajsek & Scharr, VISAPP 2025): the most similar pairs get a strong view."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqssl.augment.strong import draws, strong_views
from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo
from eqssl.models.layers import has_batch_norm
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island, precise
from eqssl.utils.progress import Progress
from eqssl.utils.randomness import uniforms
from eqssl.utils.schedule import Schedule


def most_similar(first: Tensor, second: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The pairs with the largest cosine.

    Args:
        first, second: ``[B, E]``.
        count: k; among equals the first ones are taken.

    Returns:
        ``[k]`` indices, largest first; ``[B]`` cosines.
    """
    similarity = F.cosine_similarity(precise(first), precise(second), dim=1)
    order = torch.sort(similarity, descending=True, stable=True).indices
    return order[:count], similarity


@MODELS.register_module()
class AdaptiveTopK(AuxiliaryTask):
    """The k most similar pairs (views 1 and 2) of a rank's batch are easy: a strong view of each shall still agree.

    T = top-k of s_i = cos(z_1i, z_2i); L = mean over T of 1 - cos(f(strong(x_i)), target_i), with the teacher's
    embedding of view 1 as target (the student's own without a teacher), behind a stop-gradient. k, the strong policy,
    the output and the weight are not published; these are our choices. Costs k / B of a view, forward and backward.
    :class:`eqssl.engine.AdaptiveTopKHook` shows what was picked.

    Args:
        share: k as a share of a rank's batch (at least one pair), in (0, 1]; a number or a schedule.
        strength: factor of the loss; ``dict(start=1, begin=10)`` rescues none in the first ten epochs (after the
            warm-up of the learning rate), ``warmup=5`` lets the loss grow.
        scale: crops of the strong views.
        rounds, magnitude: of RandAugment.
        group: the size group with the two crops.
    """

    def __init__(
        self,
        share: float | dict = 0.1,
        strength: float | dict = 1.0,
        scale: tuple[float, float] = (0.08, 0.5),
        rounds: int = 2,
        magnitude: float = 9.0,
        group: str = 'global',
    ) -> None:
        super().__init__()
        self.share, self.strength = Schedule.of(share, 'share', before=None), Schedule.of(strength, 'strength')
        if not all(0 < value <= 1 for value in self.share.values):
            raise UserError(f'share={share} of the batch is not in (0, 1]: k cannot exceed the batch')
        if min(self.strength.values) < 0:
            raise UserError(f'strength={strength} is negative')
        if not 0 < scale[0] <= scale[1] <= 1 or rounds < 0 or not 0 <= magnitude <= 10:
            raise UserError(
                f'scale={tuple(scale)} must lie in (0, 1], rounds={rounds} be at least 0, '
                f'magnitude={magnitude} lie in [0, 10]'
            )
        self.scale, self.rounds, self.magnitude = tuple(scale), rounds, magnitude
        self.group = group
        self.keep_picture = False  # set by the hook
        self.picked: dict[str, Tensor] = {}

    def setup(self, name: str, info: ModelInfo) -> None:
        """Keep what normalizes images."""
        super().setup(name, info)
        self.normalize = info.normalize
        self.smallest = 2 if has_batch_norm(info.backbone) else 1

    def count(self, batch: int, progress: Progress) -> int:
        """k for a rank's batch."""
        return max(1, round(self.share(progress) * batch))

    def _strong(self, views: Views, chosen: Tensor) -> Tensor:
        """Strong views ``[k, 3, S, S]`` in [0, 1], from the first crops before their photometrics."""
        raw = views.raw[self.group][0][chosen].permute(0, 3, 1, 2).float() / 255
        u = uniforms(views.key[chosen], self.name, draws(self.rounds))
        return strong_views(raw, u, self.scale, self.rounds, self.magnitude)  # type: ignore[arg-type]

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """1 - cosine of strong views and targets; monitored: the similarities and the share that was rescued."""
        views = step.views
        self.need_two_crops(views, self.group)
        k, strength = self.count(views.batch_size, step.progress), self.strength(step.progress)
        if k < self.smallest:
            raise UserError(
                f'model.auxiliary.{self.name}.share={self.share(step.progress)} of {views.batch_size} images is one, '
                'too few for batch norm; raise share or train_dataloader.batch_size'
            )
        with torch.no_grad(), float32_island(views.key.device):
            first, second = step.embed(self.group).split(views.batch_size)[:2]
            chosen, similarity = most_similar(first, second, k)
        monitors = {
            'similarity': similarity.mean(),
            'similarity_std': similarity.std(correction=0),
            'similarity_picked': similarity[chosen].mean(),
            'similarity_min': similarity.min(),
            'similarity_max': similarity.max(),
            'rescued': torch.full_like(similarity.mean(), strength * len(chosen) / views.batch_size),
        }
        if strength == 0:  # the same on every rank: a function of the iteration
            return similarity.new_zeros(()), monitors
        strong = self._strong(views, chosen)
        output = step.encode(self.normalize(strong))
        target = step.target()[: views.batch_size][chosen]
        if self.keep_picture:
            pair = {k: views.view(self.group, n)[chosen] for n, k in enumerate(('first', 'second'))}
            self.picked = {'index': chosen, 'strong': strong, 'similarity': similarity[chosen], **pair}
        with float32_island(output.device):
            cosine = F.cosine_similarity(precise(output), precise(target), dim=1)
        monitors['agreement'] = cosine.detach().mean()
        return strength * (1 - cosine).mean(), monitors
