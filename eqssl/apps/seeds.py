"""Several runs of the demo in one table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eqssl.utils.errors import UserError
from eqssl.utils.spread import mean_and_spread, paired_gain, summarize

PATHS = ('rotation', 'translation', 'color', 'blur', 'mean')
MEASURES = {'kNN top-1': 'knn_top1', **{f'R2 {path}': f'r2/{path}/all/mlp' for path in PATHS}}


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


def seeds_table(results: Sequence[dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """Runs of the demo: one row per network, and the gain of the last over the one before, seed by seed."""
    rows = summarize(results, MEASURES)
    base, ours = list(results[0])[-2:]
    gains = {k: mean_and_spread(paired_gain(results, ours, base, m)) for k, m in MEASURES.items()}
    return [*rows, {'': 'gain, seed by seed', **gains}]
