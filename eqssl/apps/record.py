"""The record of a run, written when it begins, and of an evaluation; see :mod:`eqssl.experiment`."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

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
    assert isinstance(loader, DataLoader)
    dataset: Any = loader.dataset
    return Experiment(
        name=Path(config).stem,
        kind='fine-tuning' if is_downstream(cfg) else 'pre-training',
        begun=now(),
        config={'file': config, 'fingerprint': mark},
        data=describe_data(dataset, cfg.get('data_root')),
        seed=runner.seed,
        batch=batch_of(loader) * runner.world_size,
        versions=versions(),
        hardware=hardware(runner.world_size),
    )


class RecordHook(Hook):
    """Writes :func:`describe`'s when the run has begun: one that is refused leaves no record, and none in another's.

    Args:
        config: the file or name that was asked for.
        mark: the config's fingerprint.
        goes_on: the run may continue what is in its work dir.
    """

    priority = 'VERY_HIGH'

    def __init__(self, config: str, mark: str, goes_on: bool) -> None:
        self.config, self.mark, self.goes_on = config, mark, goes_on

    def before_train(self, runner: Runner) -> None:
        """Every rank calls this, rank 0 writes."""
        goes_on = self.goes_on and runner.iter > 0
        dist.rank_0_decides(lambda: begin(Path(runner.work_dir), describe(runner, self.config, self.mark), goes_on))


def batch_of(loader: DataLoader) -> int:
    """Images of a rank in one iteration; of loaders with a batch sampler, that one's."""
    size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', None)
    return int(size or 1)


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
