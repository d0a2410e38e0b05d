"""From parsed flags to a finished run: read, complete, check, build, run, whatever is trained."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Protocol

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from eqssl.apps import finetune, pretrain
from eqssl.apps.check import check_backends
from eqssl.apps.record import RecordHook
from eqssl.apps.trial import make_trial
from eqssl.config.errors import config_errors
from eqssl.config.finetuning import is_downstream
from eqssl.config.reader import read_config
from eqssl.config.wrapper import launch_timeout
from eqssl.engine.hooks.signals import EXIT_REQUEUE
from eqssl.engine.work_dir import check_work_dir, claimed, continues, refuse_used
from eqssl.experiment import fingerprint
from eqssl.utils import dist
from eqssl.utils.errors import UserError


class Job(Protocol):
    """What is trained; the modules :mod:`pretrain` and :mod:`finetune` are such."""

    def prepare(self, cfg: Config) -> Any:
        """Import what the config names, check its keys, fill in the others."""

    def check(self, cfg: Config, ranks: int) -> str:
        """Look at everything that can be known before the launch; say what was looked at."""

    def build(self, cfg: Config) -> Runner:
        """A Runner, complete."""


def apply_flags(cfg: Config, args: argparse.Namespace) -> None:
    """Command-line flags into config keys."""
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    cfg.launcher = args.launcher
    if args.amp and is_downstream(cfg):
        if not torch.cuda.is_available():
            raise UserError("--amp: mmengine's mixed precision needs a GPU; leave it out")
        # the operators of mmcv (RoIAlign) know float16 but not bfloat16
        half = (
            dict(dtype='float16', loss_scale='dynamic')
            if cfg.get('default_scope') == 'mmdet'
            else dict(dtype='bfloat16')
        )
        cfg.optim_wrapper.update(type='AmpOptimWrapper', **half)
    elif args.amp and cfg.get('optim_wrapper'):
        cfg.optim_wrapper['precision'] = 'bf16'
    if args.resume is not None:
        cfg.resume = True
        if args.resume != 'auto':
            cfg.resume_file = args.resume
    if args.auto_scale_lr:
        if not cfg.get('auto_scale_lr') or 'base_batch_size' not in cfg.auto_scale_lr:
            raise UserError('--auto-scale-lr needs the config key auto_scale_lr=dict(base_batch_size=...)')
        cfg.auto_scale_lr['enable'] = True


def run_training(args: argparse.Namespace) -> int:
    """Train as ``train`` is told: pre-training, or a downstream config with its library.

    Returns:
        exit code: 0, or 75 where a signal stopped the run after it had saved.
    """
    cfg = read_config(args.config, args.cfg_options)
    apply_flags(cfg, args)
    mark = fingerprint(cfg)
    goes_on = continues(cfg.work_dir, bool(cfg.get('resume')), cfg.get('resume_file'))
    job: Job = finetune if is_downstream(cfg) else pretrain
    trial = args.trial is not None
    if trial and job is finetune:
        raise UserError('--try is for pre-training; shorten a fine-tuning with --cfg-options train_cfg.max_iters=N')
    with config_errors(args.config):
        job.prepare(cfg)
    if trial:
        make_trial(cfg, args.trial)
    check_backends(cfg)
    check_work_dir(cfg.work_dir)
    if args.check is not None:
        if not goes_on and not trial:
            refuse_used(cfg.work_dir)
        with config_errors(args.config):
            looked_at = job.check(cfg, args.check)
        print(f'{args.config}: checked, {looked_at}')
        return 0
    dist.init_from_launcher(args.launcher, launch_timeout(cfg))
    with claimed(cfg.work_dir, goes_on or trial):  # the log of the last trial, all that it left, begins anew
        with config_errors(args.config):
            runner = job.build(cfg)
        if not trial:
            runner.register_hook(RecordHook(args.config, mark, goes_on), priority='VERY_HIGH')
        runner.train()
    dist.leave()
    return EXIT_REQUEUE if getattr(runner, 'interrupted', False) else 0
