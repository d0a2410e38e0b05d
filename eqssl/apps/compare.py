"""Several configs, several seeds, one protocol: trained and evaluated run by run, resumable, in one table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from PIL import Image

from eqssl.apps.open_config import open_config
from eqssl.apps.process import train_process
from eqssl.checkpoint.store import iteration_of, list_checkpoints
from eqssl.evaluation.evaluator import Evaluation
from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import read_lines
from eqssl.utils.spread import mean_and_spread
from eqssl.utils.tables import write_json
from eqssl.visualization.curves import draw_comparison

Measures = dict[str, float]


class Comparison:
    """Runs of several configs in one folder, one sub-folder per config and seed.

    Each run is a process of ``eqssl train`` with :class:`~eqssl.evaluation.EvaluationHook`; a finished run is not
    repeated, an unfinished one continues. ``run.json`` names the config that a run was started with, so that results
    of two different settings never stand in one table.

    Args:
        folder: of all runs.
        options: ``--cfg-options`` of all runs.
        interval: iterations between evaluations; 0 evaluates at the end only.
    """

    def __init__(self, folder: Path, options: list[str], interval: int = 0) -> None:
        hook = {'type': 'eqssl.EvaluationHook', 'interval': interval, 'by_epoch': False}
        hook |= {'tasks': None, 'limits': None, 'at_start': False}  # whatever sample the config takes for curves
        self.folder = folder
        self.options = [*options, *(f'default_hooks.evaluation.{key}={value}' for key, value in hook.items())]

    def work_dir(self, config: Path, seed: int) -> Path:
        """Of one run."""
        return self.folder / f'{config.stem}_seed{seed}'

    def config(self, config: Path, seed: int) -> Config:
        """What a run is trained with."""
        return open_config(str(config), self._options(seed))

    def _options(self, seed: int) -> list[str]:
        return [*self.options, f'randomness.seed={seed}']

    def run(self, config: Path, seed: int) -> Measures:
        """Train (or continue, or skip) one run.

        Returns:
            what the evaluation measured after the last iteration, and ``minutes``: of training, with the evaluations
            in between.

        Raises:
            UserError: the training failed, or the folder holds a run of another config.
        """
        cfg, folder = self.config(config, seed), self.work_dir(config, seed)
        if cfg.get('evaluation') is None:
            raise UserError(f"config '{config}' has no key evaluation; a comparison needs one")
        mark = fingerprint(cfg)
        stored = json.loads((folder / 'run.json').read_text()) if (folder / 'run.json').is_file() else {}
        foreign = not stored and (list_checkpoints(folder) or (folder / 'log.jsonl').exists())
        if foreign or stored.get('config', mark) != mark:
            raise UserError(f"'{folder}' holds a run with other settings; delete it or choose another --work-dir")
        if 'measures' in stored:
            return stored['measures']
        write_json(folder / 'run.json', {'config': mark})
        print(f'== {config.stem}, seed {seed}', flush=True)
        last = train_process(config, folder, self._options(seed), resume=True)
        measures = read_lines(folder / 'evaluation.jsonl')[-1]
        if measures['iter'] != iteration_of(last):
            raise UserError(f"'{folder}' has no evaluation of its last iteration; delete {last.name} and run again")
        measures['minutes'] = trained_minutes(folder / 'log.jsonl', cfg.train_dataloader.batch_size)
        write_json(folder / 'run.json', {'config': mark, 'measures': measures})
        return measures

    def controls(self, config: Path, seed: int) -> tuple[str, dict[str, Any]]:
        """Raw pixels and the untrained network under a config's evaluation; measured once per backbone and seed.

        Returns:
            a mark that is equal for equal backbones under the same evaluation, and the results.
        """
        cfg = self.config(config, seed)
        kind = fingerprint([cfg.model.backbone, cfg.model.get('data_preprocessor'), cfg.evaluation])
        file = self.folder / f'controls_{kind}_seed{seed}.json'
        if not file.is_file():
            found = Evaluation.from_settings(cfg.evaluation).controls(cfg.model, seed)
            write_json(file, {**found, 'backbone': cfg.model.backbone.type.rpartition('.')[2]})
        return kind, json.loads(file.read_text())

    def _control_rows(self, configs: list[Path], seeds: list[int]) -> dict[str, list[Measures]]:
        """Name -> results over seeds; where backbones or evaluations differ, the name tells a config that has them."""
        users: dict[str, Path] = {}  # kind of control -> the first config that has it
        results: dict[str, list[dict[str, Any]]] = {}
        for config in configs:
            for seed in seeds:
                kind, found = self.controls(config, seed)
                if users.setdefault(kind, config) == config:
                    results.setdefault(kind, []).append(found)
        rows = {}
        for kind, runs in results.items():
            of = f' ({users[kind].stem})' if len(users) > 1 else ''
            rows[f'raw pixels{of}'] = [run['raw pixels'] for run in runs]
            rows[f'random {runs[0]["backbone"]}{of}'] = [run['random init'] for run in runs]
        return rows

    def table(
        self, configs: list[Path], seeds: list[int], measures: dict[str, str], pairs: Sequence[tuple[str, str]] = ()
    ) -> list[dict[str, Any]]:
        """All runs, then one row per control and per config with mean and spread over seeds.

        Args:
            configs: config files.
            seeds: of the runs.
            measures: heading -> key of the evaluation's result.
            pairs: (config, base config); a row each with the gain, seed by seed (same data, same initial weights).

        Raises:
            UserError: a pair that is not among the configs, two configs of one name, or a failed run.
        """
        stems = [config.stem for config in configs]
        if len(set(stems)) < len(stems):
            raise UserError(f'two configs have one name ({", ".join(sorted(stems))}); rename one')
        for name in (name for pair in pairs for name in pair):
            if name not in stems:
                raise UserError(f'--pairs: {name} is none of the configs')
        trained: dict[str, list[Measures]] = {stem: [] for stem in stems}
        for seed in seeds:  # seed by seed: an interrupted comparison has all methods
            for config in configs:
                trained[config.stem].append(self.run(config, seed))
        named = {**self._control_rows(configs, seeds), **trained}
        for ours, base in pairs:
            both = zip(trained[ours], trained[base], strict=True)
            named[f'{ours} - {base}'] = [{k: a[k] - b[k] for k in a if k in b} for a, b in both]
        return [{'': name, **_columns(results, measures)} for name, results in named.items()]

    def draw_curves(self, configs: list[Path], seeds: list[int], keys: list[str]) -> Path:
        """Measures against steps, one color per config; the picture's path."""
        runs = {c.stem: [read_lines(self.work_dir(c, seed) / 'evaluation.jsonl') for seed in seeds] for c in configs}
        file = self.folder / 'curves.png'
        Image.fromarray(draw_comparison(runs, {key: key for key in keys})).save(file)
        return file


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


def fingerprint(value: Any) -> str:
    """A name for a config or a part of one: equal for equal settings."""
    plain = value.to_dict() if isinstance(value, Config) else value
    return hashlib.sha256(json.dumps(plain, default=str, sort_keys=True).encode()).hexdigest()[:12]


def trained_minutes(log: Path, batch: int) -> float:
    """Time that the iterations of a log took, whatever interruptions there were.

    Args:
        log: ``log.jsonl``.
        batch: images per iteration.
    """
    minutes, before = 0.0, 0
    for line in read_lines(log):
        minutes += (line['iter'] - before) * batch / line['images_per_s'] / 60
        before = line['iter']
    return minutes


def _columns(results: list[Measures], measures: dict[str, str]) -> dict[str, str]:
    columns = {}
    for heading, key in measures.items():
        values = [r[key] for r in results if key in r]
        columns[heading] = mean_and_spread(values) if values else ''
    return columns
