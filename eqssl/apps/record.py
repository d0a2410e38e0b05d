"""The record of a run, written when it begins, and of an evaluation; see :mod:`eqssl.experiment`."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from eqssl.config.finetuning import is_downstream
from eqssl.experiment import Experiment, Measures, begin
from eqssl.experiment.record import describe_data, hardware, now, versions
from eqssl.utils import dist


def describe(runner: Runner, config: str, mark: str) -> Experiment:
    """The record of a run that is about to begin.

    Args:
        runner: complete.
        config: the file or name that was asked for.
        mark: the config's fingerprint.
    """
    cfg, loader = runner.cfg, runner.train_dataloader
    dataset: Any = loader.dataset  # type: ignore[union-attr]
    return Experiment(
        name=Path(config).stem,
        kind='fine-tuning' if is_downstream(cfg) else 'pre-training',
        begun=now(),
        config={'file': config, 'fingerprint': mark},
        data=describe_data(dataset, cfg.get('data_root')),
        seed=runner.seed,
        batch=(getattr(loader, 'batch_size', None) or 1) * runner.world_size,
        versions=versions(),
        hardware=hardware(runner.world_size),
    )


def record_run(runner: Runner, config: str, mark: str, goes_on: bool) -> None:
    """Write :func:`describe`'s to the work dir; every rank calls this, rank 0 writes."""
    dist.rank_0_decides(lambda: begin(Path(runner.work_dir), describe(runner, config, mark), goes_on))


def evaluation_record(
    cfg: Config, config: str, mark: str, checkpoint: str, dataset: Sized, results: dict[str, Measures]
) -> Experiment:
    """The record of an evaluation that ends now.

    Args:
        cfg: the config, complete.
        config: the file or name that was asked for.
        mark: the config's fingerprint.
        checkpoint: that was measured.
        dataset: the test images.
        results: network -> measures.
    """
    return Experiment(
        name=Path(config).stem,
        kind='evaluation',
        begun=now(),
        config={'file': config, 'fingerprint': mark, 'checkpoint': checkpoint},
        data=describe_data(dataset, cfg.get('data_root')),
        seed=(cfg.get('randomness') or {}).get('seed'),
        versions=versions(),
        hardware=hardware(dist.world_size()),
        results=results,
    )
