"""Several configs, several seeds, one protocol: trained and evaluated run by run, resumable, in one table."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mmengine.config import Config

from eqssl.engine.front_door import open_front_door
from eqssl.engine.training_process import parse_options, train_process
from eqssl.evaluation.evaluator import Evaluation
from eqssl.evaluation.summary import mean_and_spread
from eqssl.utils.errors import UserError
from eqssl.utils.tables import write_json

Measures = dict[str, float]


class Comparison:
    """Runs of several configs in one folder, one sub-folder per config and seed.

    Each run is a process of tools/train.py with :class:`~eqssl.engine.EvaluationHook`; a finished run is not repeated,
    an unfinished one continues. ``run.json`` names the config that a run was started with, so that results of two
    different settings never stand in one table.

    Args:
        folder: of all runs.
        options: ``--cfg-options`` of all runs.
        interval: iterations between evaluations; 0 evaluates at the end only.
    """

    def __init__(self, folder: Path, options: list[str], interval: int = 0) -> None:
        hook = {'type': 'eqssl.EvaluationHook', 'interval': interval, 'by_epoch': False}
        self.folder = folder
        self.options = [*options, *(f'default_hooks.evaluation.{key}={value}' for key, value in hook.items())]

    def work_dir(self, config: Path, seed: int) -> Path:
        """Of one run."""
        return self.folder / f'{config.stem}_seed{seed}'

    def config(self, config: Path, seed: int) -> Config:
        """What a run is trained with."""
        return open_front_door(str(config), parse_options(self._options(seed)))

    def _options(self, seed: int) -> list[str]:
        return [*self.options, f'randomness.seed={seed}']

    def run(self, config: Path, seed: int) -> Measures:
        """Train (or continue, or skip) one run.

        Returns:
            what the evaluation measured after the last iteration, and ``minutes`` of training.

        Raises:
            UserError: the training failed, or the folder holds a run of another config.
        """
        cfg, folder = self.config(config, seed), self.work_dir(config, seed)
        if cfg.get('evaluation') is None:
            raise UserError(f"config '{config}' has no key evaluation; a comparison needs one")
        mark = fingerprint(cfg)
        stored = json.loads((folder / 'run.json').read_text()) if (folder / 'run.json').is_file() else {}
        if stored and stored['config'] != mark:
            raise UserError(f"'{folder}' holds a run with other settings; delete it or choose another --work-dir")
        if 'measures' in stored:
            return stored['measures']
        write_json(folder / 'run.json', {'config': mark})
        print(f'== {config.stem}, seed {seed}', flush=True)
        train_process(config, folder, self._options(seed), resume=True)
        measures = json.loads((folder / 'evaluation.jsonl').read_text(encoding='utf-8').splitlines()[-1])
        measures['minutes'] = trained_minutes(folder / 'log.jsonl', cfg.train_dataloader.batch_size)
        write_json(folder / 'run.json', {'config': mark, 'measures': measures})
        return measures

    def controls(self, config: Path, seed: int) -> dict[str, Any]:
        """Raw pixels and the untrained network under a config's evaluation; once per backbone and seed."""
        cfg = self.config(config, seed)
        mark = fingerprint([cfg.model.backbone, cfg.evaluation, seed])
        file = self.folder / f'controls_{mark}.json'
        if not file.is_file():
            found = Evaluation(**cfg.evaluation).controls(cfg.model, seed)
            write_json(file, {**found, 'backbone': cfg.model.backbone.type.rpartition('.')[2]})
        return json.loads(file.read_text())

    def table(
        self, configs: list[Path], seeds: list[int], measures: dict[str, str], pairs: dict[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """All runs, then one row per control and per config with mean and spread over seeds.

        Args:
            configs: config files.
            seeds: of the runs.
            measures: heading -> key of the evaluation's result.
            pairs: config -> base config; a row each with the gain, seed by seed (same data, same initial weights).

        Raises:
            UserError: a pair that is not among the configs, or a failed run.
        """
        for name in [*(pairs or {}), *(pairs or {}).values()]:
            if name not in [c.stem for c in configs]:
                raise UserError(f'--pairs: {name} is none of the configs')
        trained: dict[str, list[Measures]] = {c.stem: [] for c in configs}
        untrained: dict[str, dict[int, Measures]] = {}
        for seed in seeds:  # seed by seed: an interrupted comparison has all methods
            for config in configs:
                trained[config.stem].append(self.run(config, seed))
                found = self.controls(config, seed)
                untrained.setdefault('raw pixels', {})[seed] = found['raw pixels']
                untrained.setdefault(f'random {found["backbone"]}', {})[seed] = found['random init']
        named = {**{name: list(by_seed.values()) for name, by_seed in untrained.items()}, **trained}
        for ours, base in (pairs or {}).items():
            both = zip(trained[ours], trained[base], strict=True)
            named[f'{ours} - {base}'] = [{k: a[k] - b[k] for k in a if k in b} for a, b in both]
        return [{'': name, **_columns(results, measures)} for name, results in named.items()]


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
    for line in map(json.loads, log.read_text(encoding='utf-8').splitlines()):
        minutes += (line['iter'] - before) * batch / line['images_per_s'] / 60
        before = line['iter']
    return minutes


def _columns(results: list[Measures], measures: dict[str, str]) -> dict[str, str]:
    columns = {}
    for heading, key in measures.items():
        values = [r[key] for r in results if key in r]
        columns[heading] = mean_and_spread(values) if values else ''
    return columns
