"""From parsed flags to a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from eqssl.engine.front_door import launch_timeout, prepare, read_config
from eqssl.engine.hooks.signals import EXIT_REQUEUE
from eqssl.engine.training_check import check_backends, check_training
from eqssl.engine.work_dir import check_work_dir, claimed, continues, refuse_used
from eqssl.registry import RUNNERS
from eqssl.utils import dist
from eqssl.utils.config_errors import config_errors
from eqssl.utils.errors import UserError


def apply_flags(cfg: Config, args: Any) -> None:
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
    elif args.amp:
        cfg.optim_wrapper['precision'] = 'bf16'
    if args.resume is not None:
        cfg.resume = True
        if args.resume != 'auto':
            cfg.resume_file = args.resume
    if args.auto_scale_lr:
        if not cfg.get('auto_scale_lr') or 'base_batch_size' not in cfg.auto_scale_lr:
            raise UserError('--auto-scale-lr needs the config key auto_scale_lr=dict(base_batch_size=...)')
        cfg.auto_scale_lr['enable'] = True


def is_downstream(cfg: Config) -> bool:
    """Whether a config fine-tunes in mmpretrain, mmseg or mmdet."""
    if (cfg.get('model') or {}).get('type') == 'eqssl.SSLPretrainer':
        return False
    return 'checkpoint' in cfg or cfg.get('default_scope') in ('mmseg', 'mmdet')


def run_training(args: Any) -> int:
    """Train as ``tools/train.py`` is told: pre-training, or a downstream config with its library.

    Returns:
        exit code: 0, or 75 where a signal stopped the run after it had saved.
    """
    cfg = read_config(args.config, args.cfg_options)
    if not is_downstream(cfg):
        with config_errors(args.config):
            prepare(cfg)
    apply_flags(cfg, args)
    check_backends(cfg)
    check_work_dir(cfg.work_dir)
    if is_downstream(cfg):
        from eqssl.downstream.launch import run_downstream

        run_downstream(cfg, args)
        dist.leave()
        return 0
    goes_on = continues(cfg.work_dir, bool(cfg.get('resume')), cfg.get('resume_file'))
    if args.check is not None:
        if not goes_on:
            refuse_used(cfg.work_dir)
        with config_errors(args.config):
            images = check_training(cfg, args.check)
        print(f'{args.config}: checked, {images} images for {args.check} rank(s)')
        return 0
    dist.init_from_launcher(args.launcher, launch_timeout(cfg))
    with claimed(cfg.work_dir, goes_on):
        with config_errors(args.config):
            runner = RUNNERS.build(cfg)
            runner.train_loop  # noqa: B018  (built where it is asked for: what does not build is said here)
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.train()
    dist.leave()
    return EXIT_REQUEUE if getattr(runner, 'interrupted', False) else 0
