"""Permutation sets for jigsaw puzzles."""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations

import numpy as np


@lru_cache(maxsize=8)
def hamming_permutations(cells: int, count: int, seed: int = 0) -> np.ndarray:
    """Permutations far from each other, chosen greedily (Noroozi & Favaro, ECCV 2016, algorithm 1).

    The next one has the largest Hamming distance to the nearest chosen one, then the largest mean distance.

    Args:
        cells: pieces of the puzzle (9 for 3 x 3).
        count: permutations, at most ``cells!``.
        seed: of the first one.

    Returns:
        ``[count, cells]`` int64.
    """
    every = np.array(list(permutations(range(cells))), dtype=np.int8)
    if not 1 <= count <= len(every):
        raise ValueError(f'{count} permutations of {cells} cells; there are {len(every)}')
    chosen = [int(np.random.default_rng(seed).integers(len(every)))]
    nearest = np.full(len(every), cells + 1, dtype=np.int64)
    total = np.zeros(len(every), dtype=np.int64)
    for _ in range(count - 1):
        distance = (every != every[chosen[-1]]).sum(1)
        nearest = np.minimum(nearest, distance)
        total += distance
        chosen.append(int(np.argmax(nearest * (len(chosen) * cells + 1) + total)))
    return every[chosen].astype(np.int64)
