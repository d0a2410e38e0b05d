"""Several configs, several seeds, one protocol: trained and evaluated run by run, resumable, in one table."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from eqssl.engine.checkpoint_store import list_checkpoints
from eqssl.engine.front_door import open_front_door
from eqssl.evaluation.command import load_model
from eqssl.evaluation.evaluator import Evaluation
from eqssl.evaluation.summary import mean_and_spread
from eqssl.utils.errors import UserError
from eqssl.utils.tables import write_json

ROOT = Path(__file__).resolve().parents[2]
Measures = dict[str, float]


def run_once(config: Path, seed: int, folder: Path, options: list[str]) -> Measures:
    """Train (or continue, or skip) one run and evaluate its last checkpoint.

    Args:
        config: a config with the key ``evaluation``.
        seed: of the run.
        folder: gets ``<config>_seed<seed>/`` with log, checkpoints and ``results.json``.
        options: of ``--cfg-options``.

    Returns:
        what the tasks measured, and ``minutes`` of training.

    Raises:
        UserError: the training failed (its message stands above).
    """
    work_dir = folder / f'{config.stem}_seed{seed}'
    if (work_dir / 'results.json').is_file():
        return json.loads((work_dir / 'results.json').read_text())
    print(f'== {config.stem}, seed {seed}', flush=True)
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), '--work-dir', str(work_dir), '--resume']
    if subprocess.run([*command, '--cfg-options', f'randomness.seed={seed}', *options], check=False).returncode:
        raise UserError(f'training failed; the command was: {" ".join(command)}')
    cfg = open_front_door(str(config), {'randomness.seed': seed})
    model = load_model(cfg, str(list_checkpoints(work_dir)[-1]))
    minutes = trained_minutes(work_dir / 'log.jsonl', cfg.train_dataloader.batch_size)
    result = {**Evaluation(**cfg.evaluation).run(model), 'minutes': minutes}
    write_json(work_dir / 'results.json', result)
    return result


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


def controls(config: Path, seed: int, folder: Path) -> dict[str, Measures]:
    """Raw pixels and the untrained network under a config's evaluation; measured once per backbone and seed."""
    cfg = open_front_door(str(config), {'randomness.seed': seed})
    text = json.dumps([dict(cfg.model.backbone), dict(cfg.evaluation), seed], default=str, sort_keys=True)
    file = folder / f'controls_{hashlib.sha256(text.encode()).hexdigest()[:12]}.json'
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        found = Evaluation(**cfg.evaluation).controls(cfg.model, seed)
        write_json(file, {**found, 'backbone': cfg.model.backbone.type.rpartition('.')[2]})
    return json.loads(file.read_text())


def compare(
    configs: list[Path], seeds: list[int], folder: Path, options: list[str], measures: dict[str, str]
) -> list[dict[str, Any]]:
    """All runs, then one row per control and per config with mean and spread over seeds.

    Args:
        configs: config files.
        seeds: of the runs.
        folder: for all runs; finished ones are not repeated, unfinished ones continue.
        options: of ``--cfg-options``.
        measures: heading -> key of the evaluation's result.
    """
    trained: dict[str, list[Measures]] = {c.stem: [] for c in configs}
    untrained: dict[str, dict[int, Measures]] = {}
    for seed in seeds:  # seed by seed: an interrupted comparison has all methods
        for config in configs:
            trained[config.stem].append(run_once(config, seed, folder, options))
            found: Any = controls(config, seed, folder)
            untrained.setdefault('raw pixels', {})[seed] = found['raw pixels']
            untrained.setdefault(f'random {found["backbone"]}', {})[seed] = found['random init']
    named = {**{name: list(by_seed.values()) for name, by_seed in untrained.items()}, **trained}
    return [{'': name, **_columns(results, measures)} for name, results in named.items()]


def _columns(results: list[Measures], measures: dict[str, str]) -> dict[str, str]:
    columns = {}
    for heading, key in measures.items():
        values = [r[key] for r in results if key in r]
        columns[heading] = mean_and_spread(values) if values else ''
    return columns
