"""Downstream runs of mmseg, mmdet and mmpretrain in one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eqssl.evaluation.summary import mean_and_spread
from eqssl.utils.errors import UserError

TRAINING = ('lr', 'loss')  # keys that only a line of training has
BESIDE = ('step', 'iter', 'epoch', 'time', 'data_time', 'memory')


def read_validation(work_dir: Path) -> list[dict[str, float]]:
    """Validation lines of a run's logs (``<time>/vis_data/scalars.json``), in the order of their steps.

    A run that was resumed has several logs; of two lines of one step the later one counts.

    Raises:
        UserError: no log, or one without a validation.
    """
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not logs:
        raise UserError(f"'{work_dir}' holds no log (<time>/vis_data/scalars.json); is it a work dir of mmengine?")
    lines: dict[float, dict[str, float]] = {}
    for log in logs:
        for text in log.read_text(encoding='utf-8').splitlines():
            line = json.loads(text)
            if not any(key in line for key in TRAINING):
                lines[line.get('step', -1)] = {k: v for k, v in line.items() if isinstance(v, (int, float))}
    if not lines:
        raise UserError(f"'{work_dir}' has no validation in its log yet")
    return [lines[step] for step in sorted(lines)]


def measure(work_dir: Path, keys: list[str] | None, best: bool) -> dict[str, float]:
    """One run's results: those of the last validation, or of the one with the best first key."""
    lines = read_validation(work_dir)
    known = [key for key in lines[-1] if key not in BESIDE]
    for key in keys or []:
        if key not in known:
            raise UserError(f"--measures: '{work_dir}' has no {key}; it has {', '.join(known)}")
    chosen = keys or known
    line = max(lines, key=lambda x: x[chosen[0]]) if best else lines[-1]
    return {key: line[key] for key in chosen}


def collect(groups: dict[str, list[Path]], keys: list[str] | None = None, best: bool = False) -> list[dict[str, Any]]:
    """One row per group with mean and spread over its runs.

    Args:
        groups: name -> work dirs (seeds).
        keys: measures; None takes all of the first run.
        best: the best validation of each run instead of the last.
    """
    rows = []
    for name, folders in groups.items():
        results = [measure(folder, keys, best) for folder in folders]
        keys = keys or list(results[0])
        found = {key: mean_and_spread([r[key] for r in results if key in r]) for key in keys}
        rows.append({'': name, 'runs': len(folders), **found})
    return rows
