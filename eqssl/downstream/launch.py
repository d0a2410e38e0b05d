"""Fine-tuning in mmpretrain, mmseg and mmdet, started by the same tool as pre-training."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS as ROOT_MODELS

from eqssl.downstream.data_check import check_data
from eqssl.downstream.nuclei import nuclei_folder
from eqssl.downstream.runner import FineTuneRunner, find_beginning
from eqssl.engine.checkpoint_store import read_checkpoint
from eqssl.engine.front_door import distributed_wrapper, launch_timeout
from eqssl.engine.work_dir import claimed, continues, refuse_used
from eqssl.registry import WEIGHT_INITIALIZERS
from eqssl.utils import dist
from eqssl.utils.config_errors import config_errors
from eqssl.utils.config_tree import dicts
from eqssl.utils.env import LIBRARIES
from eqssl.utils.errors import UserError

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load_library(scope: str) -> None:
    """Import a library and fill its registries.

    Raises:
        UserError: it, or the compiled ops that it needs, is not installed.
    """
    if scope not in LIBRARIES:
        raise UserError(f"default_scope='{scope}' is none of {', '.join(LIBRARIES)}")
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            # the libraries tell which optional packages they lack
            warnings.filterwarnings('ignore', message='faster_coco_eval is not installed')
            importlib.import_module(f'{scope}.models')
            importlib.import_module(f'{scope}.utils').register_all_modules(init_default_scope=True)
    except ImportError as error:
        package, install = LIBRARIES[scope]
        what = 'mmcv with compiled ops' if 'mmcv._ext' in str(error) else package
        raise UserError(f"default_scope='{scope}' needs {what} ({error}); {install}") from error


def takes_checkpoint(node: dict) -> bool:
    """Whether a module's config has our initializer."""
    init = node.get('init_cfg')
    return isinstance(init, dict) and init.get('type') == 'eqssl.PretrainedBackbone'


def complete_checkpoint(cfg: Config) -> None:
    """Top-level ``checkpoint`` into the initializers that take it.

    Raises:
        UserError: there is none, or nothing takes it.
    """
    takers = [node for node in dicts(cfg.model) if node.get('type') == 'eqssl.PretrainedBackbone']
    if cfg.get('checkpoint') is not None:
        if not takers:
            raise UserError("checkpoint is set, but no init_cfg=dict(type='eqssl.PretrainedBackbone') takes it")
        for node in takers:
            node['checkpoint'] = cfg.checkpoint
    elif any(node.get('checkpoint') is None for node in takers):
        raise UserError(
            'checkpoint is not set; give it with --cfg-options checkpoint=FILE, or model.backbone.init_cfg=None'
        )
    for node in takers:
        WEIGHT_INITIALIZERS.build(copy.deepcopy(node))  # its arguments are checked


def complete(cfg: Config, loaders: tuple[str, ...] = LOADERS, from_checkpoint: bool = True) -> None:
    """Top-level keys into the places that take them; what a machine without GPU needs.

    Args:
        cfg: a downstream config.
        loaders: those that will be used.
        from_checkpoint: the backbone comes from a pre-training checkpoint; otherwise (a resumed run, a test) the whole
            model comes from elsewhere.

    Raises:
        UserError: data_root is no folder, or no init_cfg takes the checkpoint.
    """
    if from_checkpoint:
        complete_checkpoint(cfg)
    else:
        for node in dicts(cfg.model):
            if takes_checkpoint(node):
                node['init_cfg'] = None
    complete_data(cfg, loaders)
    unused = cfg.get('find_unused_parameters', False)  # mmengine reads it only where no wrapper is given
    cfg.setdefault('model_wrapper_cfg', {**distributed_wrapper(), 'find_unused_parameters': unused})
    if not torch.cuda.is_available():
        synchronized = [node for node in dicts(cfg.model) if node.get('type') == 'SyncBN']
        for node in synchronized:
            node['type'] = 'BN'
        if synchronized:
            print_log('no GPU: SyncBN, which needs one, becomes BN (statistics of each rank)', 'current')


def complete_data(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Top-level ``data_root`` into data sets and evaluators; what does not exist is found before the model is built.

    Raises:
        UserError: data_root is no folder, or lacks a file or folder that a data set reads.
    """
    if cfg.get('data_root') is None:
        return
    if cfg.data_root == 'nuclei' and not Path('nuclei').exists():
        cfg.data_root = str(nuclei_folder())
    root = Path(cfg.data_root)
    if not root.is_dir():
        raise UserError(f"data_root '{root}' is not a folder; give it with --cfg-options data_root=DIR")
    written = set()  # roots that the config's own files name
    for node in dicts([cfg.get(key) for key in loaders]):
        if 'data_root' in node:
            written.add(Path(node['data_root']))
            node['data_root'] = str(root)
            prefix = node.get('data_prefix') or {}
            for part in (node.get('ann_file'), *([prefix] if isinstance(prefix, str) else prefix.values())):
                if part and not (root / part).exists():
                    raise UserError(f"data_root '{root}' has no '{part}', which {node['type']} reads")
    evaluators = {id(node): node for node in dicts([cfg.get('val_evaluator'), cfg.get('test_evaluator')])}
    for node in evaluators.values():  # they take a whole path
        path = Path(node.get('ann_file') or '.')
        old = next((old for old in written if path.is_relative_to(old)), None)
        if old is not None:
            node['ann_file'] = str(root / path.relative_to(old))


def build_runner(cfg: Config, args: Any, **options: Any) -> FineTuneRunner:
    """A completed config's Runner, with its library loaded and the process group made; see :func:`complete`."""
    load_library(cfg.get('default_scope', 'mmpretrain'))
    complete(cfg, **options)
    dist.init_from_launcher(args.launcher, launch_timeout(cfg))
    return FineTuneRunner.from_cfg(cfg)


def check_model(cfg: Config) -> None:
    """Build the model and load the checkpoint, so that what does not fit is said once, before the launch."""
    init = dict(cfg.model.backbone.get('init_cfg') or {}) if takes_checkpoint(cfg.model.backbone) else None
    model = ROOT_MODELS.build(copy.deepcopy(cfg.model))
    if init is not None:
        WEIGHT_INITIALIZERS.build(init)(model.backbone)


def run_downstream(cfg: Config, args: Any) -> None:
    """Fine-tune as ``tools/train.py`` is told.

    Raises:
        UserError: the config does not build, or a checkpoint does not fit.
    """
    goes_on = continues(cfg.work_dir, bool(cfg.get('resume')), cfg.get('resume_file'))
    beginning = find_beginning(cfg)
    if args.check is not None:
        load_library(cfg.get('default_scope', 'mmpretrain'))
        complete(cfg, from_checkpoint=beginning is None)
        if beginning is not None:
            read_checkpoint(beginning, leave_out=True)
        with config_errors(args.config):
            check_model(cfg)
            check_data(cfg, LOADERS)
        if not goes_on:
            refuse_used(cfg.work_dir)
        print(f'{args.config}: checked (library, model, checkpoint, data)')
        return
    dist.init_from_launcher(args.launcher, launch_timeout(cfg))
    with claimed(cfg.work_dir, goes_on):
        _train(cfg, args, beginning)


def _train(cfg: Config, args: Any, beginning: str | None) -> None:
    """Build everything, so that what does not fit is said, and run."""
    with config_errors(args.config):
        runner = build_runner(cfg, args, from_checkpoint=beginning is None)
        dist.rank_0_decides(lambda: check_data(cfg, LOADERS))
        runner.train_loop  # noqa: B018  (built where it is asked for: what does not build is said here)
        runner.val_loop  # noqa: B018
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.train()


def evaluate_downstream(cfg: Config, args: Any) -> dict[str, float]:
    """Measure a fine-tuned checkpoint as ``tools/test.py`` is told: the library's own metrics on ``test_dataloader``.

    Returns:
        the metrics.

    Raises:
        UserError: the checkpoint does not fit the model, tensor by tensor.
    """
    cfg.load_from, cfg.resume = None, False
    with config_errors(args.config):
        runner = build_runner(cfg, args, loaders=('test_dataloader',), from_checkpoint=False)
        dist.rank_0_decides(lambda: check_data(cfg, ('test_dataloader',)))
        runner.test_loop  # noqa: B018
    runner.load_checkpoint(args.checkpoint)
    return {name: float(value) for name, value in runner.test().items()}  # mmseg's are numpy's
