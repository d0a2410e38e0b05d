"""Mean and spread over runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def mean_and_spread(values: Sequence[float]) -> str:
    """``mean +- standard deviation`` over runs (sample standard deviation; none for one run)."""
    if len(values) < 2:
        return f'{values[0]:.3f}'
    return f'{statistics.mean(values):.3f} +- {statistics.stdev(values):.3f}'
