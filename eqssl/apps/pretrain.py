"""Pre-training as a job: prepared, checked, built."""

from __future__ import annotations

from mmengine.config import Config

from eqssl.apps.check import check_training
from eqssl.apps.open_config import prepare
from eqssl.engine.runner import Runner
from eqssl.registry import RUNNERS

__all__ = ['build', 'check', 'prepare']


def check(cfg: Config, ranks: int) -> str:
    """What can be known before the launch; what was looked at.

    Raises:
        UserError: something does not fit.
    """
    return f'{check_training(cfg, ranks)} images for {ranks} rank(s)'


def build(cfg: Config) -> Runner:
    """The Runner with its loop and optimizer, which it makes late: what does not build is said here."""
    runner = RUNNERS.build(cfg)
    runner.train_loop  # noqa: B018
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return runner
