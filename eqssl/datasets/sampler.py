"""The sampler that gives every sample of a run its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from eqssl.registry import DATA_SAMPLERS
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sized


@DATA_SAMPLERS.register_module()
class PositionSampler(Sampler):
    """Yields (index, position) without end.

    ``position`` counts the samples of the whole run over all ranks: position ``p`` is image ``permutation_e[p % n]``
    of epoch ``e = p // n``; rank ``r`` of ``w`` takes positions ``r, r + w, ...``. Which images form global batch
    ``t``, and every random draw for them, are therefore the same for any number of ranks and workers.

    Args:
        dataset: a sized data set.
        seed: of the permutations; the same on every rank.
        shuffle: permute every epoch anew.

    Raises:
        UserError: more ranks than images.
    """

    def __init__(self, dataset: Sized, seed: int | None = 0, shuffle: bool = True) -> None:
        self.rank, self.world_size = get_dist_info()
        self.length = len(dataset)
        self.seed, self.shuffle = int(seed or 0), shuffle
        self.start = self.rank
        if self.length < self.world_size:
            raise UserError(
                f'{self.world_size} ranks, but data_root holds {self.length} images; start at most {self.length} ranks'
            )

    def __len__(self) -> int:
        """Samples of one epoch on this rank."""
        return self.length // self.world_size

    def skip(self, count: int) -> None:
        """Advance by ``count`` samples of this rank without loading anything."""
        self.start += count * self.world_size

    def _permutation(self, epoch: int) -> torch.Tensor:
        if not self.shuffle:
            return torch.arange(self.length)
        generator = torch.Generator().manual_seed((self.seed << 32) ^ epoch)
        return torch.randperm(self.length, generator=generator)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        position, current, order = self.start, -1, torch.empty(0)
        while True:
            epoch, place = divmod(position, self.length)
            if epoch != current:
                current, order = epoch, self._permutation(epoch)
            yield int(order[place]), position
            position += self.world_size
