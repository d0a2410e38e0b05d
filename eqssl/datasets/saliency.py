"""Crops that keep to what is salient (EffSSL, section 5)."""

from __future__ import annotations

import numpy as np

TRIES = 10


def mean_in_box(saliency: np.ndarray, box: tuple[int, int, int, int], height: int, width: int) -> float:
    """Mean of a map over a box of the image, map cells counted by their covered share.

    Args:
        saliency: ``[h, w]``.
        box: x, y, width, height in pixels.
        height, width: of the image.
    """
    x, y, w, h = box
    rows = _cover(saliency.shape[0], y / height, (y + h) / height)
    columns = _cover(saliency.shape[1], x / width, (x + w) / width)
    return float(rows @ saliency @ columns / (rows.sum() * columns.sum()))


def _cover(cells: int, start: float, stop: float) -> np.ndarray:
    """Share of each of ``cells`` equal intervals of [0, 1] that [start, stop] covers."""
    edges = np.arange(cells + 1) / cells
    return np.clip(np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start), 0, None) * cells


def is_salient(saliency: np.ndarray, box: tuple[int, int, int, int], height: int, width: int) -> bool:
    """Whether a crop's mean saliency exceeds the image's (EffSSL's criterion)."""
    return mean_in_box(saliency, box, height, width) > float(saliency.mean())
