"""Experiments from wherever they lie: work dirs of pre-training, fine-tuning and comparisons, files of evaluations."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eqssl.experiment.measures import BESIDE
from eqssl.experiment.record import FILE, OWN, Experiment, Measures, read_record
from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import read_lines

TRAINING = ('lr', 'loss')  # keys that only a line of training has
SEED = re.compile(r'_seed\d+$')


def read_experiments(path: Path) -> list[Experiment]:
    """All of a work dir or of a JSON file.

    A work dir with ``experiment.json`` is one experiment. Results of earlier versions (``results.json`` of the demo,
    ``run.json`` of a comparison) and work dirs of mmengine without a record (``<time>/vis_data/scalars.json``) are
    read too.

    Raises:
        UserError: names the folder or file and what is wrong with it.
    """
    if path.is_file():
        return _from_file(path)
    if (path / FILE).is_file():
        found = read_record(path / FILE)
        found.curve = found.curve or _curve(path)
        if not found.values.keys() - found.cost.keys():
            why = 'holds embeddings, no measures' if found.kind == 'embedding' else 'has no validation in its log yet'
            raise UserError(f"'{path}' {why}")
        _tell_where_it_ends(path, found)
        found.cost = found.cost or training_cost(path, found.batch)
        return [found]
    for name in ('results.json', 'run.json'):
        if (path / name).is_file():
            return _from_earlier_version(path / name)
    if lines := read_lines(path / 'evaluation.jsonl'):
        return [Experiment(SEED.sub('', path.name), 'pre-training', curve=lines)]
    return [Experiment(path.name, 'fine-tuning', curve=_validations(path))]


def _tell_where_it_ends(folder: Path, found: Experiment) -> None:
    """Say so where the last evaluation is not of the last iteration."""
    log = read_lines(folder / 'log.jsonl')
    if log and OWN not in found.results and log[-1]['iter'] > found.curve[-1].get('iter', 0):
        done, whole = found.curve[-1].get('iter', 0), log[-1]['iter']
        print(f"'{folder}': the last evaluation is of {done} of {whole} iterations", file=sys.stderr)


def _from_file(file: Path) -> list[Experiment]:
    try:
        value = json.loads(file.read_text(encoding='utf-8'))
        if isinstance(value, dict) and isinstance(value.get('experiments'), list):
            if not value['experiments']:
                raise UserError('holds no experiment')
            return [Experiment.from_json(each, file.stem) for each in value['experiments']]
        found = Experiment.from_json(value, file.stem)
        if not found.results:
            raise UserError('is no record of an experiment')
        return [found] if OWN in found.results else _networks(found)
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise UserError(f"'{file}' is no record of an experiment ({error})") from error
    except UserError as error:
        raise UserError(f"'{file}' {error}") from error


def _networks(found: Experiment) -> list[Experiment]:
    """One experiment for each network of a table without a header."""
    return [
        Experiment(name.removesuffix(' (stored)'), results={OWN: measures}) for name, measures in found.results.items()
    ]


def _from_earlier_version(file: Path) -> list[Experiment]:
    if file.name == 'results.json':
        return _from_file(file)
    stored = json.loads(file.read_text())
    name, curve = SEED.sub('', file.parent.name), read_lines(file.parent / 'evaluation.jsonl')
    measures = dict(stored.get('measures') or {})
    cost = {'minutes': measures.pop('minutes')} if 'minutes' in measures else {}
    if not measures and not curve:
        raise UserError(f"'{file.parent}' has no validation in its log yet")
    results = {OWN: measures} if measures else {}
    return [
        Experiment(
            name, 'pre-training', config={'fingerprint': stored['config']}, cost=cost, results=results, curve=curve
        )
    ]


def _curve(folder: Path) -> list[Measures]:
    """What was measured during training."""
    return read_lines(folder / 'evaluation.jsonl') or (_validations(folder) if _logs(folder) else [])


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.glob('*/vis_data/scalars.json'))


def _numbers(line: dict[str, Any]) -> Measures:
    """The measures of a line; mmdet writes lists and texts too."""
    return {k: v for k, v in line.items() if isinstance(v, (int, float)) and k not in BESIDE}


def _validations(folder: Path) -> list[Measures]:
    """Validation lines of mmengine's logs, in the order of their steps (``iter``).

    A run that was resumed has several logs; of two lines of one step the later one counts. A log that starts again at
    the beginning is another run's: what came before it does not count.
    """
    logs = _logs(folder)
    if not logs:
        raise UserError(
            f"'{folder}' holds no log (<time>/vis_data/scalars.json) and no {FILE}; is it a work dir of a training?"
        )
    lines: dict[float, dict[str, Any]] = {}
    first = None
    for found in filter(None, map(read_lines, logs)):
        start = found[0].get('step', 0)
        first = start if first is None else first
        if start <= first:
            lines = {}
        lines |= {line.get('step', -1): line for line in found if not any(key in line for key in TRAINING)}
    if not lines:
        raise UserError(f"'{folder}' has no validation in its log yet")
    curve = [{'iter': step, **_numbers(lines[step])} for step in sorted(lines)]
    if len(curve[-1]) == 1:  # mmdet logs none where nothing was detected
        raise UserError(f"'{folder}': its last validation measured nothing (no detection?)")
    return curve


def training_cost(folder: Path, batch: int | None) -> Measures:
    """``minutes`` that the iterations of ``log.jsonl`` took, whatever interruptions there were, and ``images`` seen."""
    log = read_lines(folder / 'log.jsonl')
    if not log or not batch:
        return {}
    minutes, before = 0.0, 0
    for line in log:
        minutes += (line['iter'] - before) * batch / max(line['images_per_s'], 1e-9) / 60
        before = line['iter']
    return {'minutes': minutes, 'images': before * batch}


def _paths_of(word: str) -> list[Path]:
    """The work dirs and files that a path or pattern names."""
    pattern = Path(word).expanduser()
    if word and pattern.exists():
        return [pattern]
    suffix = '.json' if word.endswith('.json') else ''  # 'runs/*' are folders, not tables beside them
    try:
        found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
        paths = sorted(path for path in found if path.is_dir() or path.suffix == suffix) if word else []
    except ValueError as error:
        raise UserError(f"'{word}' is no pattern of folders ({error})") from error
    if not paths:
        raise UserError(f"'{word}' is no folder and no JSON file")
    return paths


def split_name(word: str) -> tuple[str, str]:
    """``NAME=PATH`` to both; the name is empty where the word is a path, with or without a sign of equality."""
    name, sign, path = word.partition('=')
    return (name, path) if sign and '/' not in name and not Path(word).exists() else ('', word)


def read_groups(words: Sequence[str]) -> dict[str, list[Experiment]]:
    """Runs of one thing under one name: its seeds.

    Args:
        words: work dirs, JSON files or patterns. ``NAME=PATH`` opens a group, further paths (as a shell expands a
            pattern) belong to it; before the first of these, experiments stand under their own names.

    Raises:
        UserError: a path is nothing, named twice, or holds no experiment.
    """
    groups: dict[str, list[Experiment]] = {}
    unnamed: list[tuple[Path, Experiment]] = []
    seen: list[Path] = []
    name = ''
    for word in words:
        opened, word = split_name(word)
        name = opened or name
        for path in _paths_of(word):
            if any(path.samefile(other) for other in seen):
                raise UserError(f"'{path}' is named twice")
            seen.append(path)
            for found in read_experiments(path):
                if name:
                    groups.setdefault(name, []).append(found)
                else:
                    unnamed.append((path, found))
    return {**_by_config(unnamed), **groups}


def _by_config(runs: list[tuple[Path, Experiment]]) -> dict[str, list[Experiment]]:
    """Runs under their configs' names; under their folders' where two of a name have other settings, or one seed."""
    kinds: dict[str, set] = {}
    seeds: dict[str, list] = {}
    for _, found in runs:
        kinds.setdefault(found.name, set()).add(found.config.get('fingerprint'))
        seeds.setdefault(found.name, []).append(found.seed)
    groups: dict[str, list[Experiment]] = {}
    for path, found in runs:
        given = [seed for seed in seeds[found.name] if seed is not None]
        apart = len(kinds[found.name]) > 1 or len(set(given)) < len(given)
        groups.setdefault(f'{found.name} ({path.name})' if apart else found.name, []).append(found)
    return groups
