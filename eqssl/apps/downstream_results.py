"""Downstream runs of mmseg, mmdet and mmpretrain in one table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from eqssl.utils.errors import UserError
from eqssl.utils.spread import mean_and_spread

TRAINING = ('lr', 'loss')  # keys that only a line of training has
LOWER_IS_BETTER = re.compile(r'loss|error|rmse|mae\b|abs_rel|sq_rel|perplexity', re.IGNORECASE)
BESIDE = ('step', 'iter', 'epoch', 'time', 'data_time', 'memory')


def _lines(log: Path) -> list[dict[str, float]]:
    """Numbers of a log's whole lines (a run that was killed may have left half of its last one)."""
    found = []
    for text in log.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            break
        if not isinstance(line, dict):
            raise UserError(f"'{log}' is not a log of mmengine (a line reads {text[:40]!r})")
        found.append({k: v for k, v in line.items() if isinstance(v, (int, float))})
    return found


def read_validation(work_dir: Path) -> list[dict[str, float]]:
    """Validation lines of a run's logs (``<time>/vis_data/scalars.json``), in the order of their steps.

    A run that was resumed has several logs; of two lines of one step the later one counts. A log that starts again at
    the beginning is another run's: what came before it does not count.

    Raises:
        UserError: no log, or one without a validation.
    """
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not logs:
        raise UserError(f"'{work_dir}' holds no log (<time>/vis_data/scalars.json); is it a work dir of mmengine?")
    lines: dict[float, dict[str, float]] = {}
    first = None
    for log in logs:
        found = _lines(log)
        if not found:
            continue
        start = found[0].get('step', 0)
        first = start if first is None else first
        if start <= first:
            lines = {}
        lines |= {line.get('step', -1): line for line in found if not any(key in line for key in TRAINING)}
    if not lines:
        raise UserError(f"'{work_dir}' has no validation in its log yet")
    return [lines[step] for step in sorted(lines)]


def measure(work_dir: Path, keys: list[str] | None, best: bool) -> dict[str, float]:
    """One run's results: those of the last validation, or of the one with the best first key."""
    lines = read_validation(work_dir)
    known = [key for key in lines[-1] if key not in BESIDE]
    if not known:  # mmdet logs none where nothing was detected
        raise UserError(f"'{work_dir}': its last validation measured nothing (no detection?)")
    for key in keys or []:
        if key not in known:
            raise UserError(f"--measures: '{work_dir}' has no {key}; it has {', '.join(known)}")
    chosen = keys or known
    whole = [line for line in lines if all(key in line for key in chosen)]
    better = min if LOWER_IS_BETTER.search(chosen[0]) else max
    line = better(whole, key=lambda x: x[chosen[0]]) if best else lines[-1]
    return {'step': line.get('step', -1), **{key: line[key] for key in chosen}}


def collect(groups: dict[str, list[Path]], keys: list[str] | None = None, best: bool = False) -> list[dict[str, Any]]:
    """One row per group with mean and spread over its runs.

    Args:
        groups: name -> work dirs (seeds).
        keys: measures; None takes all that every run has.
        best: the best validation of each run instead of the last (the lowest of an error or a loss).

    Raises:
        UserError: a run without results, runs of different length, or nothing in common.
    """
    results = {name: [measure(folder, keys, best) for folder in folders] for name, folders in groups.items()}
    every = [run for runs in results.values() for run in runs]
    steps = {run.pop('step') for run in every}
    if len(steps) > 1 and not best:
        raise UserError(
            f'the runs ended at different steps ({", ".join(str(s) for s in sorted(steps))}); compare equals'
        )
    shown = [key for key in every[0] if all(key in run for run in every)]
    if not shown:
        raise UserError('the runs have no measure in common; compare runs of one task')
    return [
        {'': name, 'runs': len(runs), **{key: mean_and_spread([run[key] for run in runs]) for key in shown}}
        for name, runs in results.items()
    ]


def folders_of(word: str) -> list[Path]:
    """The folders that a path or pattern names."""
    pattern = Path(word).expanduser()
    try:
        found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
        folders = sorted(path for path in found if path.is_dir()) if word else []
    except ValueError as error:
        raise UserError(f"'{word}' is no pattern of folders ({error})") from error
    if not folders:
        raise UserError(f"'{word}' is no folder")
    return folders


def read_groups(words: list[str]) -> dict[str, list[Path]]:
    """``name=dir`` opens a group, further dirs (as a shell expands a pattern) belong to it."""
    groups: dict[str, list[Path]] = {}
    name = ''
    for word in words:
        if '=' in word and not Path(word).is_dir():
            name, _, word = word.partition('=')
        if not name:
            raise UserError(f"'{word}' belongs to no group; begin with name=work_dir")
        for folder in folders_of(word):
            if any(folder.samefile(other) for others in groups.values() for other in others):
                raise UserError(f"'{folder}' is named twice")
            groups.setdefault(name, []).append(folder)
    return groups
