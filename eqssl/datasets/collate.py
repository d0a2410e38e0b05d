"""Samples to a batch: one uint8 tensor per size group, masks padded to a static count."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqssl.registry import FUNCTIONS


def pad_masks(masks: np.ndarray, bound: int) -> dict[str, Tensor]:
    """Masks as gather indices of a static length.

    Args:
        masks: ``[B, V, N]`` bool.
        bound: static number of masked patches of the batch, at least ``masks.sum()``.

    Returns:
        ``mask_grid`` ``[V * B, N]`` bool (view-major), ``mask_index`` ``[bound]`` int64 into its flattened patches,
        ``mask_weight`` ``[bound]`` float32, 1 / (masked patches of the view), 0 where padded.
    """
    grid = np.ascontiguousarray(masks.transpose(1, 0, 2)).reshape(-1, masks.shape[2])
    hits = np.flatnonzero(grid)
    if len(hits) > bound:
        raise ValueError(f'{len(hits)} masked patches exceed the bound {bound}')
    index = np.zeros(bound, np.int64)
    weight = np.zeros(bound, np.float32)
    index[: len(hits)] = hits
    weight[: len(hits)] = 1.0 / grid.sum(1)[hits // masks.shape[2]]
    return {
        'mask_grid': torch.from_numpy(grid),
        'mask_index': torch.from_numpy(index),
        'mask_weight': torch.from_numpy(weight),
    }


@FUNCTIONS.register_module()
def collate_views(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack the samples of :class:`MultiViewDataset`.

    Returns:
        ``crops`` group -> ``[V, B, S, S, 3]`` uint8, where the data set cuts them; ``box`` and ``photo`` group ->
        ``[V, B, P]`` float32; the keys of :func:`pad_masks` where there are masks; ``index``, ``key``,
        ``label`` ``[B]`` int64; ``unreadable`` list.
    """
    batch: dict[str, Any] = {}
    for field in sorted(next(iter(samples[0]['groups'].values()))):
        batch[field] = {
            name: torch.from_numpy(np.stack([s['groups'][name][field] for s in samples], axis=1))
            for name in samples[0]['groups']
        }
    for field in ('index', 'key', 'label'):
        batch[field] = torch.tensor([s[field] for s in samples], dtype=torch.int64)
    if samples[0]['masks'] is not None:
        masks = np.stack([s['masks'] for s in samples])
        batch.update(pad_masks(masks, len(samples) * samples[0]['max_masked']))
    batch['unreadable'] = [entry for s in samples for entry in s['unreadable']]
    return batch
