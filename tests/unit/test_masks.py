"""iBOT's masks: ratios, shapes, static bounds."""

from __future__ import annotations

import numpy as np
import pytest

from eqssl.datasets.collate import pad_masks
from eqssl.datasets.masks import PatchMask
from eqssl.utils.errors import UserError


def draw(mask: PatchMask, n: int = 400, views: int = 2, epoch: int = 0) -> np.ndarray:
    return np.stack([mask(np.random.default_rng(i), views, epoch) for i in range(n)])


def test_one_of_two_views_is_masked_each_half_the_time():
    masks = draw(PatchMask(grid=14))
    share = masks.mean(2)
    assert ((share > 0).sum(1) == 1).all()
    assert abs((share[:, 0] > 0).mean() - 0.5) < 0.08


def test_ratios_follow_the_schedule_and_the_bound_holds():
    mask = PatchMask(grid=14)
    masked = draw(mask, 800).sum(2).max(1) / 196
    assert masked.max() <= 0.5 and masked.min() >= 0.05 and abs(masked.mean() - 0.29) < 0.02
    assert mask.max_masked(2) == 98
    assert draw(mask).sum((1, 2)).max() <= 98


def test_random_masks_have_the_exact_count():
    masks = draw(PatchMask(grid=8, ratio=(0.5,), variance=(0.0,), shape='random'))
    assert (masks.sum(2) == 32).all() and len({m.tobytes() for m in masks}) > 390


def test_block_masks_are_contiguous_rectangles_mostly():
    """Neighbors of masked patches are masked far more often than in random masks of the same ratio."""

    def neighbors(shape: str) -> float:
        grids = draw(PatchMask(grid=14, ratio=(0.3,), variance=(0.0,), shape=shape), 100, 1).reshape(-1, 14, 14)
        return float((grids[:, :, 1:] & grids[:, :, :-1]).sum() / grids[:, :, :-1].sum())

    assert neighbors('block') > 0.7 > 0.4 > neighbors('random')


def test_no_masks_before_the_start_epoch():
    mask = PatchMask(grid=8, ratio=(0.3,), variance=(0.1,), start_epoch=2)
    assert draw(mask, 20, epoch=1).sum() == 0 and draw(mask, 20, epoch=2).sum() > 0


def test_padding_gives_static_indices_and_weights_of_per_view_means():
    masks = draw(PatchMask(grid=4, ratio=(0.0, 0.4), variance=(0.0, 0.2)), 5)
    out = pad_masks(masks, 60)
    index, weight, grid = out['mask_index'].numpy(), out['mask_weight'].numpy(), out['mask_grid'].numpy()
    assert len(index) == len(weight) == 60
    used = weight > 0
    assert sorted(index[used]) == sorted(np.flatnonzero(grid)) and (index[~used] == 0).all()
    per_view = np.bincount(index[used] // 16, weight[used], minlength=10)
    np.testing.assert_allclose(per_view, (grid.sum(1) > 0).astype(float), atol=1e-6)
    with pytest.raises(ValueError, match='exceed'):
        pad_masks(np.ones((2, 2, 16), bool), 10)


@pytest.mark.parametrize(
    'kw', [dict(ratio=(0.3,), variance=(0.1, 0.2)), dict(shape='ring'), dict(ratio=(0.9,), variance=(0.2,))]
)
def test_wrong_parameters_are_refused(kw):
    with pytest.raises(UserError, match='^(ratio|shape)'):
        PatchMask(grid=4, **kw)
