"""Fine-tuning in mmpretrain, mmseg and mmdet as a job: prepared, checked, built; and the measuring of its result."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS as ROOT_MODELS

from eqssl.apps.open_config import load_library
from eqssl.apps.record import evaluation_record
from eqssl.checkpoint.store import read_checkpoint
from eqssl.config.errors import config_errors
from eqssl.config.finetuning import LOADERS, complete_finetuning, is_downstream, takes_checkpoint
from eqssl.config.reader import read_config
from eqssl.config.wrapper import launch_timeout
from eqssl.downstream.data_check import check_data
from eqssl.downstream.runner import FineTuneRunner, find_beginning
from eqssl.engine.work_dir import check_work_dir
from eqssl.experiment import OWN, Experiment, fingerprint
from eqssl.registry import WEIGHT_INITIALIZERS
from eqssl.utils import dist
from eqssl.utils.errors import UserError


def prepare(cfg: Config) -> None:
    """Load the library and complete the config; where the run begins is found here.

    Raises:
        UserError: the library is missing, a key does not fit, or every checkpoint of the work dir is damaged.
    """
    load_library(cfg.get('default_scope', 'mmpretrain'))
    complete_finetuning(cfg, from_checkpoint=find_beginning(cfg) is None)


def check(cfg: Config, ranks: int) -> str:
    """What can be known before the launch; what was looked at.

    Raises:
        UserError: something does not fit.
    """
    if cfg.get('load_from') is not None:
        read_checkpoint(cfg.load_from, leave_out=True)
    init = dict(cfg.model.backbone.get('init_cfg') or {}) if takes_checkpoint(cfg.model.backbone) else None
    model = ROOT_MODELS.build(copy.deepcopy(cfg.model))
    if init is not None:
        WEIGHT_INITIALIZERS.build(init)(model.backbone)
    check_data(cfg, LOADERS)
    return 'library, model, checkpoint, data'


def build(cfg: Config) -> FineTuneRunner:
    """The Runner with its loops and optimizer, which it makes late: what does not build is said here."""
    runner = FineTuneRunner.from_cfg(cfg)
    dist.rank_0_decides(lambda: check_data(cfg, LOADERS))
    runner.train_loop  # noqa: B018
    runner.val_loop  # noqa: B018
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return runner


def measuring_runner(cfg: Config, launcher: str) -> FineTuneRunner:
    """A Runner that only measures: no pre-training checkpoint, no training or validation data is looked at."""
    load_library(cfg.get('default_scope', 'mmpretrain'))
    cfg.load_from, cfg.resume = None, False
    complete_finetuning(cfg, loaders=('test_dataloader',), from_checkpoint=False)
    dist.init_from_launcher(launcher, launch_timeout(cfg))
    return FineTuneRunner.from_cfg(cfg)


def run_test(args: argparse.Namespace) -> Experiment:
    """Measure a fine-tuned checkpoint as ``test`` is told: the library's own metrics on ``test_dataloader``.

    Raises:
        UserError: a pre-training config, or the checkpoint does not fit the model, tensor by tensor.
    """
    cfg = read_config(args.config, args.cfg_options)
    if not is_downstream(cfg):
        raise UserError(f"'{args.config}' is a pre-training config; eqssl evaluate measures its features")
    mark = fingerprint(cfg)
    cfg.work_dir = args.work_dir or str(Path('work_dirs') / Path(args.config).stem)
    cfg.launcher = args.launcher
    check_work_dir(cfg.work_dir)
    with config_errors(args.config):
        runner = measuring_runner(cfg, args.launcher)
        dist.rank_0_decides(lambda: check_data(cfg, ('test_dataloader',)))
        runner.test_loop  # noqa: B018
    runner.load_checkpoint(args.checkpoint)
    found = {name: float(value) for name, value in runner.test().items()}  # mmseg's are numpy's
    dataset = runner.test_loop.dataloader.dataset
    return evaluation_record(cfg, args.config, mark, args.checkpoint, dataset, {OWN: found})
