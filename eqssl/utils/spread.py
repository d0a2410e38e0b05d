"""Mean and spread over runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def mean_and_spread(values: Sequence[float]) -> str:
    """``mean +- standard deviation`` over runs (sample standard deviation; none for one run)."""
    if len(values) < 2:
        return f'{values[0]:.3f}'
    return f'{statistics.mean(values):.3f} +- {statistics.stdev(values):.3f}'


def summarize(results: Sequence[dict[str, dict[str, float]]], measures: dict[str, str]) -> list[dict[str, Any]]:
    """One row per network (in the order of the first run), one column per measure (column name -> key)."""
    rows = []
    for network in results[0]:
        row: dict[str, Any] = {'': network}
        for column, key in measures.items():
            found = [r[network][key] for r in results if key in r[network]]
            row[column] = mean_and_spread(found) if found else None
        rows.append(row)
    return rows


def paired_gain(results: Sequence[dict[str, dict[str, float]]], ours: str, base: str, key: str) -> list[float]:
    """Gain of one network over another, run by run (same seed: same data, same initial weights)."""
    return [r[ours][key] - r[base][key] for r in results]
