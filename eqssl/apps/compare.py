"""Several configs, several seeds, one protocol: trained and evaluated run by run, resumable; experiments to compare."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from eqssl.apps.evaluate import load_model
from eqssl.apps.open_config import open_config
from eqssl.apps.process import train_process
from eqssl.checkpoint.store import iteration_of, list_checkpoints
from eqssl.config.reader import find_config, read_config
from eqssl.evaluation.evaluation import Evaluation
from eqssl.experiment import FILE, OWN, Experiment, Measures, fingerprint, finish, read_experiments
from eqssl.experiment.reader import training_cost
from eqssl.experiment.record import read_record
from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import read_lines
from eqssl.utils.tables import write_json


@dataclass(frozen=True)
class Sample:
    """Curves on a sample of the images; all tasks on all images then follow the training.

    Attributes:
        interval: iterations between two of its measurements.
        tasks: of the config key ``evaluation``.
        own: those of them that are for curves only.
        limits: split -> largest number of images.
    """

    interval: int
    tasks: tuple[str, ...]
    own: tuple[str, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)

    def hook(self) -> dict[str, Any]:
        """Settings of :class:`~eqssl.evaluation.EvaluationHook`."""
        limits = {f'limits.{split}': count for split, count in self.limits.items()}
        tasks = f'[{",".join(self.tasks)}]'
        return {'interval': self.interval, 'by_epoch': False, 'tasks': tasks, **limits, 'at_start': True}


def hook_options(settings: dict[str, Any]) -> list[str]:
    """Settings of :class:`~eqssl.evaluation.EvaluationHook` as ``--cfg-options``."""
    return [f'default_hooks.evaluation.{key}={value}' for key, value in settings.items()]


class Comparison:
    """Runs of several configs in one folder, one sub-folder per config and seed.

    Each run is a process of ``eqssl train`` with :class:`~eqssl.evaluation.EvaluationHook`; a finished run is not
    repeated, an unfinished one continues. Its record (``experiment.json``) names the config that it was started with,
    so that results of two different settings never stand in one table.

    Args:
        folder: of all runs.
        options: ``--cfg-options`` of all runs.
        interval: iterations between evaluations; 0 evaluates at the end only.
        sample: measures a sample during training instead.
    """

    def __init__(self, folder: Path, options: Sequence[str], interval: int = 0, sample: Sample | None = None) -> None:
        self.folder, self.sample = folder, sample
        if sample is None:  # the last word, whatever sample the config takes for curves
            whole = {'interval': interval, 'by_epoch': False, 'tasks': None, 'limits': None, 'at_start': False}
            self.options = [*options, *hook_options(whole)]
        else:  # options may change it
            self.options = [*hook_options(sample.hook()), *options]
        self._evaluations: dict[str, Evaluation] = {}

    def work_dir(self, config: Path, seed: int) -> Path:
        """Of one run."""
        return self.folder / f'{config.stem}_seed{seed}'

    def config(self, config: Path, seed: int) -> Config:
        """What a run is trained with."""
        return open_config(str(config), self._options(seed))

    def _options(self, seed: int) -> list[str]:
        return [*self.options, f'randomness.seed={seed}']

    def mark(self, config: Path, seed: int) -> str:
        """The fingerprint that the record of a run has."""
        return fingerprint(read_config(str(config), self._options(seed)))

    def _stored(self, config: Path, seed: int) -> Experiment | None:
        """The record of a run that was begun.

        Raises:
            UserError: the folder holds a run of another config.
        """
        folder = self.work_dir(config, seed)
        found = None
        if (folder / FILE).is_file():
            found = read_record(folder / FILE)
        elif (folder / 'run.json').is_file():  # of an earlier version, which took the completed config
            old = json.loads((folder / 'run.json').read_text())
            if old['config'] == fingerprint(self.config(config, seed), leave_out=()):
                return read_experiments(folder)[0] if 'measures' in old else None
        there = list_checkpoints(folder) or (folder / 'log.jsonl').exists()
        other = found is not None and (found.config.get('fingerprint'), found.seed) != (self.mark(config, seed), seed)
        if (found is None and there) or other:
            raise UserError(f"'{folder}' holds a run with other settings; delete it or choose another --work-dir")
        return found

    def run(self, config: Path, seed: int, resume: bool = True) -> Experiment:
        """Train (or continue, or skip) one run and evaluate it.

        Args:
            config: its file.
            seed: of everything that is drawn.
            resume: continue or keep what is there; otherwise the run begins anew.

        Raises:
            UserError: the training failed, or the folder holds a run of another config.
        """
        cfg, folder = self.config(config, seed), self.work_dir(config, seed)
        if cfg.get('evaluation') is None:
            raise UserError(f"config '{config}' has no key evaluation; a comparison needs one")
        stored = self._stored(config, seed) if resume else None
        if stored is not None and OWN in stored.results:
            return read_experiments(folder)[0]
        print(f'== {config.stem}, seed {seed}', flush=True)
        last = train_process(config, folder, self._options(seed), resume=resume)
        if self.sample is not None:
            measures = {'iter': iteration_of(last), **self.whole(cfg).run(load_model(cfg, str(last)))}
        else:
            measures = read_lines(folder / 'evaluation.jsonl')[-1]
            if measures['iter'] != iteration_of(last):
                raise UserError(f"'{folder}' has no evaluation of its last iteration; delete {last.name} and run again")
        record = read_record(folder / FILE)
        finish(folder, {OWN: measures}, training_cost(folder, record.batch))
        return read_experiments(folder)[0]

    def whole(self, cfg: Config) -> Evaluation:
        """The evaluation of the table: all images, all tasks but those for curves; images are read once."""
        kind = fingerprint(dict(cfg.evaluation))
        if kind not in self._evaluations:
            evaluation = Evaluation.from_settings(cfg.evaluation)
            own = self.sample.own if self.sample else ()
            evaluation.select(
                [name for name, task in cfg.evaluation.tasks.items() if task is not None and name not in own]
            )
            self._evaluations[kind] = evaluation
        return self._evaluations[kind]

    def controls(self, config: Path, seed: int) -> dict[str, Measures]:
        """Raw pixels and the untrained network under a config's evaluation; measured once per backbone and seed."""
        cfg = self.config(config, seed)
        kind = fingerprint([cfg.model.backbone, cfg.model.get('data_preprocessor'), cfg.evaluation])
        file = self.folder / f'controls_{kind}_seed{seed}.json'
        if not file.is_file():
            write_json(file, self.whole(cfg).controls(cfg.model, seed))
        return {name: found for name, found in json.loads(file.read_text()).items() if isinstance(found, dict)}

    def flat_lines(self, config: Path, seed: int) -> dict[str, Measures]:
        """The controls by the measures of the curves."""
        cfg = self.config(config, seed)
        hook = cfg.default_hooks.evaluation
        evaluation = Evaluation.from_settings(
            {**cfg.evaluation, 'limits': hook.get('limits') or cfg.evaluation.get('limits')}
        )
        evaluation.select(hook.get('tasks'))
        return evaluation.controls(cfg.model, seed)

    def groups(self, configs: Sequence[Path], seeds: Sequence[int]) -> dict[str, list[Experiment]]:
        """All runs with their controls, one group per config.

        Args:
            configs: of different names, see :func:`own_configs`.
            seeds: of each.

        Raises:
            UserError: a run failed.
        """
        groups: dict[str, list[Experiment]] = {config.stem: [] for config in configs}
        for seed in seeds:  # seed by seed: an interrupted comparison has all methods
            for config in configs:
                groups[config.stem].append(self.run(config, seed))
        for config in configs:
            for seed, run in zip(seeds, groups[config.stem], strict=True):
                run.results |= self.controls(config, seed)
        return groups


def own_configs(names: Sequence[str], others: Container[str] = ()) -> list[Path]:
    """Config files by their names; refused where two rows of a table would have one name.

    Args:
        names: files, or names of configs that come with eqssl.
        others: names of other rows.

    Raises:
        UserError: no such config, or a name twice.
    """
    configs = [find_config(name) for name in names]
    stems = [config.stem for config in configs]
    if len(set(stems)) < len(stems):
        raise UserError(f'two configs have one name ({", ".join(sorted(stems))}); rename one')
    for stem in stems:
        if stem in others:
            raise UserError(f"'{stem}' is a config and the name of what is read; give that a name: NAME=PATH")
    return configs
