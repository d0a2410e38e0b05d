"""Whether a model can be trained with the data at hand, before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mmengine.logging import print_log

from eqssl.datasets.depth import depth_note
from eqssl.models.heads import DataSpec
from eqssl.models.layers import has_batch_norm, is_synchronized
from eqssl.utils import dist
from eqssl.utils.errors import UserError, at_key

if TYPE_CHECKING:
    from eqssl.datasets.dataset import MultiViewDataset
    from eqssl.datasets.sources import Source
    from eqssl.models.pretrainer import SSLPretrainer


def _classes(source: Source) -> int:
    """Number of classes of a source, 0 where an image has no label."""
    labels = getattr(source, 'labels', None)
    if labels is None:  # a source of the user's: as far as one image tells
        return max(0, source.label(0) + 1)
    labels = np.asarray(labels)
    return int(labels.max()) + 1 if len(labels) and labels.min() >= 0 else 0


def check_fit(
    model: SSLPretrainer, dataset: MultiViewDataset, batch_size: int, ranks: int, accumulate: int = 1
) -> None:
    """Views, labels, batch size, queue and prototypes against each other.

    Args:
        model: a bare SSLPretrainer (may live on the meta device).
        dataset: the :class:`MultiViewDataset`.
        batch_size: images of one rank in one forward pass.
        ranks: number of ranks.
        accumulate: forward passes per optimizer step.

    Raises:
        UserError: names the config key.
    """
    own = {group for task in model.auxiliary.values() for group in task.groups}  # type: ignore[union-attr]
    views = {name: len(specs) for name, specs in dataset.views.groups.items() if name not in own}
    with at_key('model.head'):
        model.head.check_data(DataSpec(views, _classes(dataset.source), len(dataset), batch_size, ranks, accumulate))
    note = depth_note(dataset.source) if dist.rank() == 0 else None
    if note is not None:
        print_log(f'train_dataloader.dataset.source: {note}', 'current')
    together = is_synchronized(model)
    if has_batch_norm(model) and (batch_size * ranks if together else batch_size) < 2:
        raise UserError(
            f'train_dataloader.batch_size={batch_size} is too small for the batch norm of the model; at least 2 images '
            "per rank are needed (or several ranks with sync_bn='torch')"
        )
    if dataset.mask is not None and not model.head.needs_masks:
        print_log(f'{type(model.head).__name__} reads no masks: train_dataloader.dataset.mask has no effect', 'current')
