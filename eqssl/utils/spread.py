"""Mean and spread over runs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eqssl.utils.errors import UserError

MEASURES = {
    'kNN top-1': 'knn_top1',
    **{f'R2 {path}': f'r2/{path}/all/mlp' for path in ('rotation', 'translation', 'color', 'blur', 'mean')},
}


def read_results(folders: Sequence[str | Path]) -> list[dict[str, dict[str, float]]]:
    """``results.json`` of several work dirs: network -> measure -> value (a stored result counts as its network)."""
    results = []
    for folder in folders:
        path = Path(folder) / 'results.json'
        if not path.is_file():
            raise UserError(f'{path} does not exist; run the demo (or tools/evaluate.py --json) there first')
        found = json.loads(path.read_text())
        results.append({name.removesuffix(' (stored)'): result for name, result in found.items()})
    return results


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


def seeds_table(results: Sequence[dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """Runs of the demo: one row per network, and the gain of the last over the one before, seed by seed."""
    rows = summarize(results, MEASURES)
    base, ours = list(results[0])[-2:]
    gains = {k: mean_and_spread(paired_gain(results, ours, base, m)) for k, m in MEASURES.items()}
    return [*rows, {'': 'gain, seed by seed', **gains}]
