"""Which patches the student does not see: iBOT's block-wise and random masks."""

from __future__ import annotations

import math

import numpy as np

from eqssl.registry import TRANSFORMS
from eqssl.utils.errors import UserError
from eqssl.utils.progress import Progress
from eqssl.utils.schedule import Schedule


@TRANSFORMS.register_module()
class PatchMask:
    """Draws the masks of one image's global views (iBOT, Zhou et al. 2022, appendix; official code's parameters).

    A view's ratio is uniform in ``ratio +- variance`` for one entry of the lists, and 0 where ``ratio`` is 0. The V
    views of an image take V different entries (in random order) as far as the lists allow, so that with the default
    (0, 0.3) exactly one of two views is masked: each view is masked half the time as in the official code, and the
    number of masked patches of an image has a bound of half the naive one (static shapes are cheaper).

    Args:
        grid: patches per side of a global crop.
        ratio: list of mask ratios.
        variance: list of the same length.
        shape: 'block' (BEiT's rectangles) or 'random'.
        start_epoch: no masks before this epoch (iBOT's ``pred_start_epoch``).
    """

    def __init__(
        self,
        grid: int,
        ratio: list[float] | tuple[float, ...] = (0.0, 0.3),
        variance: list[float] | tuple[float, ...] = (0.0, 0.2),
        shape: str = 'block',
        start_epoch: int = 0,
    ) -> None:
        if len(ratio) != len(variance):
            raise UserError(f'ratio has {len(ratio)} entries, variance {len(variance)}; give one for each')
        if shape not in ('block', 'random'):
            raise UserError(f"shape='{shape}' is neither 'block' nor 'random'")
        for r, v in zip(ratio, variance, strict=True):
            if not (r - v >= 0 and r + v <= 1):
                raise UserError(f'ratio {r} +- variance {v} leaves [0, 1]')
        self.grid, self.shape, self.begin = grid, shape, Schedule.switch(start_epoch, 'epoch')
        self.ratio, self.variance = tuple(ratio), tuple(variance)

    def max_masked(self, views: int) -> int:
        """Largest possible number of masked patches of one image with ``views`` global views."""
        bounds = sorted((self._count(r + v if r > 0 else 0.0) for r, v in self._entries()), reverse=True)
        rounds, rest = divmod(views, len(bounds))
        return rounds * sum(bounds) + sum(bounds[:rest])

    def _entries(self) -> list[tuple[float, float]]:
        return list(zip(self.ratio, self.variance, strict=True))

    def _count(self, ratio: float) -> int:
        return int(ratio * self.grid * self.grid)

    def __call__(self, rng: np.random.Generator, views: int, epoch: int = 0) -> np.ndarray:
        """Masks of one image, ``[views, grid * grid]`` bool."""
        entries = self._entries()
        drawn = self.begin(Progress(epoch))
        order = np.concatenate([rng.permutation(len(entries)) for _ in range(math.ceil(views / len(entries)))])
        masks = np.zeros((views, self.grid, self.grid), bool)
        for view in range(views):
            ratio, variance = entries[order[view]]
            u = rng.random()
            if ratio <= 0 or not drawn:
                continue
            count = self._count(ratio + variance * (2 * u - 1))
            if self.shape == 'random':
                masks[view].reshape(-1)[rng.permutation(self.grid**2)[:count]] = True
            else:
                self._fill_blocks(rng, masks[view], count)
        return masks.reshape(views, -1)

    def _fill_blocks(self, rng: np.random.Generator, mask: np.ndarray, count: int) -> None:
        """Add rectangles until ``count`` patches are masked, or 10 tries in a row add none (BEiT, Bao et al. 2021)."""
        smallest, low = (self.grid // 3) ** 2, math.log(0.3)
        done, failures = 0, 0
        while done < count and failures < 10:
            failures += 1
            u = rng.random(4)
            left = count - done
            area = smallest + u[0] * (left - smallest) if left > smallest else left
            aspect = math.exp(low * (1 - 2 * u[1]))
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (0 < h < self.grid and 0 < w < self.grid):
                continue
            top, start = int(u[2] * (self.grid - h + 1)), int(u[3] * (self.grid - w + 1))
            block = mask[top : top + h, start : start + w]
            new = block.size - int(block.sum())
            if 0 < new <= left:
                block[:] = True
                done += new
                failures = 0
