"""Experiments in one table: mean and spread over runs, gains run by run, intervals over test images."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from eqssl.experiment.measures import error_key, heading, is_measure, lower_is_better, main_keys
from eqssl.experiment.record import Experiment, Measures
from eqssl.utils.errors import UserError

NORMAL_95 = 1.96
Groups = dict[str, list[Experiment]]
Rows = dict[str, list[Measures]]


def mean_and_spread(values: Sequence[float]) -> str:
    """``mean +- standard deviation`` over runs (sample standard deviation; none for one run)."""
    if len(values) < 2:
        return f'{values[0]:.3f}'
    return f'{statistics.mean(values):.3f} +- {statistics.stdev(values):.3f}'


def make_table(
    groups: Groups,
    keys: Sequence[str] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    best: bool = False,
    intervals: bool = False,
) -> list[dict[str, Any]]:
    """One row per control and per group, then one per pair with the gain, run by run.

    Args:
        groups: name -> runs (seeds) of one thing.
        keys: measures; by default the main ones, or where there are none of these all that every run has.
        pairs: (name, base's name): rows with the gain, run by run (same seed: same data, same initial weights).
        best: the best validation of each run by the first measure instead of the last one (the lowest of an error).
        intervals: for a single run, the 95 % interval over test images, from the bootstrap's standard error.

    Raises:
        UserError: runs of different length, a measure that a run lacks, nothing in common, or an unknown pair.
    """
    rows = {name: [_measures(run, keys, best) for run in runs] for name, runs in groups.items()}
    every = [run for runs in rows.values() for run in runs]
    steps = {run['iter'] for run in every if 'iter' in run}
    if len(steps) > 1 and not best:
        listed = ', '.join(f'{step:g}' for step in sorted(steps))
        raise UserError(f'the runs ended at different steps ({listed}); compare equals')
    shown = list(keys or main_keys(key for run in every for key in run if is_measure(key)))
    if not shown or set(shown) <= {'minutes'}:
        shown = [key for key in every[0] if is_measure(key) and all(key in run for run in every)]
    if not shown:
        raise UserError('the runs have no measure in common; compare runs of one task')
    rows = {**_control_rows(groups), **rows}
    rows |= _gains(rows, pairs)
    return [
        {'': name, 'runs': len(runs), **{heading(key): _cell(runs, key, intervals) for key in shown}}
        for name, runs in rows.items()
    ]


def _measures(run: Experiment, keys: Sequence[str] | None, best: bool) -> Measures:
    values = run.values
    for key in keys or ():
        if key not in values:
            known = ', '.join(k for k in values if is_measure(k))
            raise UserError(f"--measures: '{run.name}' has no {key}; it has {known}")
    if not best:
        return values
    measured = [key for line in run.curve for key in line if is_measure(key)]
    first = next(iter(keys or main_keys(measured) or measured), '')
    whole = [line for line in run.curve if all(key in line for key in keys or [first])]
    better = min if lower_is_better(first) else max
    return {**run.cost, **better(whole, key=lambda line: line[first])} if whole else values


def _control_rows(groups: Groups) -> Rows:
    """Controls by their name; where groups have different ones, the group's name stands behind it."""
    found: dict[str, dict[str, list[Measures]]] = {}  # control -> the first group that has it -> over runs
    for group, runs in groups.items():
        for control in runs[0].controls:
            measured = [run.controls[control] for run in runs if control in run.controls]
            if measured not in found.setdefault(control, {}).values():
                found[control][group] = measured
    return {
        control if len(users) == 1 else f'{control} ({group})': measured
        for control, users in found.items()
        for group, measured in users.items()
    }


def _gains(rows: Rows, pairs: Sequence[tuple[str, str]]) -> Rows:
    gains = {}
    for ours, base in pairs:
        for name in (ours, base):
            if name not in rows:
                raise UserError(f'--pairs: {name} is none of {", ".join(rows)}')
        if len(rows[ours]) != len(rows[base]):
            raise UserError(f'--pairs: {ours} has {len(rows[ours])} runs, {base} has {len(rows[base])}')
        both = zip(rows[ours], rows[base], strict=True)
        gains[f'{ours} - {base}'] = [{k: a[k] - b[k] for k in a if k in b and is_measure(k)} for a, b in both]
    return gains


def _cell(runs: list[Measures], key: str, intervals: bool) -> str | None:
    values = [run[key] for run in runs if key in run]
    if not values:
        return None
    error = runs[0].get(error_key(key)) if intervals and len(runs) == 1 else None
    if error is None:
        few = f' ({len(values)} of {len(runs)} runs)' if len(values) < len(runs) else ''
        return mean_and_spread(values) + few
    return f'{values[0]:.3f} [{values[0] - NORMAL_95 * error:.3f}, {values[0] + NORMAL_95 * error:.3f}]'


def parse_pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """``OURS=BASE`` to pairs of names.

    Raises:
        UserError: a word of another form.
    """
    pairs = []
    for word in words:
        ours, sign, base = word.partition('=')
        if not sign:
            raise UserError(f"--pairs: '{word}' is not of the form OURS=BASE")
        pairs.append((ours, base))
    return pairs
