"""What can be known before the first step: model, data, weights to begin from, evaluation and packages together."""

from __future__ import annotations

import copy
import importlib.util
from typing import TYPE_CHECKING

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from eqssl.checkpoint.store import load_strictly, read_checkpoint
from eqssl.datasets import collate_views
from eqssl.engine.fit_check import check_fit
from eqssl.engine.optimizers.constructor import OptimWrapperConstructor
from eqssl.engine.resume import check_meta, check_parts, find_checkpoint, load_weights
from eqssl.evaluation.hook import EvaluationHook
from eqssl.models.layers import synchronize
from eqssl.registry import DATASETS, HOOKS, MODELS, PARAM_SCHEDULERS, WEIGHT_INITIALIZERS
from eqssl.utils.errors import UserError
from eqssl.utils.meta import to_meta, without_memory

if TYPE_CHECKING:
    from eqssl.datasets.dataset import MultiViewDataset
    from eqssl.models.pretrainer import SSLPretrainer

# What mmengine imports when the first value is shown.
_PACKAGES = {
    'TensorboardVisBackend': 'tensorboard', 'WandbVisBackend': 'wandb', 'MLflowVisBackend': 'mlflow',
    'ClearMLVisBackend': 'clearml', 'NeptuneVisBackend': 'neptune', 'DVCLiveVisBackend': 'dvclive',
    'AimVisBackend': 'aim',
}  # fmt: skip


def check_backends(cfg: Config) -> None:
    """The packages that the visualizer's backends need are installed.

    Raises:
        UserError: one is not.
    """
    places = {'visualizer.vis_backends': (cfg.get('visualizer') or {}).get('vis_backends')}
    places['vis_backends'] = cfg.get('vis_backends')
    for place, backends in places.items():
        for number, backend in enumerate(backends or []):
            kind = str(backend.get('type', '')).rpartition('.')[2] if isinstance(backend, dict) else ''
            package = _PACKAGES.get(kind)
            if package is not None and importlib.util.find_spec(package) is None:
                raise UserError(f'{place}[{number}]: {kind} needs the package {package}; pip install {package}')


def check_hooks(cfg: Config) -> None:
    """Build every hook; an evaluation opens its data."""
    for hook in [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]:
        if isinstance(hook, dict):
            built = HOOKS.build({k: v for k, v in hook.items() if k != 'priority'})
            if isinstance(built, EvaluationHook):
                built.prepare(cfg.get('evaluation'))


def check_optimizer(cfg: Config, model: SSLPretrainer, iterations: int, per_epoch: int) -> None:
    """Build the optimizer and its schedules over one number for each group of parameters of the model."""
    config = copy.deepcopy(cfg.optim_wrapper)
    if config.pop('constructor', None) != 'eqssl.OptimWrapperConstructor':
        return
    constructor = OptimWrapperConstructor(config, config.pop('paramwise_cfg', None))
    groups = [{**group, 'params': [nn.Parameter(torch.zeros(1))]} for group in constructor.groups(model)]
    wrapper = constructor.build(groups)
    for schedule in cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else [cfg.param_scheduler]:
        if schedule.get('type') == 'eqssl.CosineSchedule':
            unit = per_epoch if schedule.get('by_epoch', True) else 1
            given = {k: v for k, v in schedule.items() if k != 'convert_to_iter_based'}
            filled_in = {'optimizer': wrapper, 'end': -(-iterations // unit), 'epoch_length': unit}
            PARAM_SCHEDULERS.build({**filled_in, **given})


def lengths(cfg: Config, images: int, ranks: int) -> tuple[int, int]:
    """Iterations of a run and of an epoch."""
    epochs, iterations = cfg.train_cfg.get('max_epochs'), cfg.train_cfg.get('max_iters')
    if (epochs is None) == (iterations is None):
        raise UserError('train_cfg: give exactly one of max_epochs and max_iters')
    per_epoch = max(1, images // ranks // cfg.train_dataloader.batch_size)
    total = iterations if iterations is not None else epochs * per_epoch
    if total < 1:
        raise UserError(f'train_cfg: a run of {total} iterations; at least 1')
    return total, per_epoch


def check_beginning(cfg: Config, model: SSLPretrainer, ranks: int, iterations: int) -> None:
    """Load what the run continues or begins from into the model without memory: all of it fits, or is refused.

    Args:
        cfg: completed.
        model: on the meta device.
        ranks: number of processes.
        iterations: length of the run.
    """
    found = find_checkpoint(cfg.work_dir, cfg.get('resume_file')) if cfg.get('resume') else None
    if found is not None:
        checkpoint = read_checkpoint(found)
        check_parts(checkpoint, found)
        check_meta(checkpoint['meta'], found, cfg.train_dataloader.batch_size * ranks, cfg.randomness.seed, iterations)
        load_strictly(model, checkpoint['state_dict'], str(found))
    elif cfg.get('load_from'):
        load_weights(model, cfg.load_from)
    init = cfg.model.backbone.get('init_cfg')
    if found is None and isinstance(init, dict) and init.get('type') == 'eqssl.PretrainedBackbone':
        WEIGHT_INITIALIZERS.build(copy.deepcopy(init))(MODELS.build(copy.deepcopy(cfg.model.backbone)))


def dry_step(model: SSLPretrainer, dataset: MultiViewDataset, batch: int) -> None:
    """One forward pass on the meta device: shapes that do not fit are found without computing.

    Args:
        model: on the meta device.
        dataset: its first image stands for all.
        batch: images per rank.

    Raises:
        UserError: what the first step would raise.
    """
    data = to_meta(collate_views([dataset[(0, 0)]] * batch))
    model.data_preprocessor._device = torch.device('meta')
    model.data_preprocessor.device_images = dataset.device_images()
    model.train()
    try:
        losses = model.loss(model.data_preprocessor(data, True)['views'])
        assert all(isinstance(value, Tensor) for value in losses.values())
    except UserError:
        raise
    except (NotImplementedError, RuntimeError, ValueError, TypeError, IndexError, KeyError, AssertionError) as error:
        reason = ' '.join(str(error).split())[:300]
        if isinstance(error, NotImplementedError) or 'meta' in reason.lower():  # no statement about this config
            print_log('--check: this model cannot be tried without memory; its first step was not checked', 'current')
            return
        raise UserError(f'the first training step fails: {type(error).__name__}: {reason}') from error


def check_training(cfg: Config, ranks: int) -> int:
    """Build the model (without memory) and open the data, so that what does not fit is found before the launch.

    Returns:
        the number of images.
    """
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch, workers = cfg.train_dataloader.get('batch_size', 1), cfg.train_dataloader.num_workers
    if batch < 1 or workers < 0:
        raise UserError(f'train_dataloader.batch_size={batch} must be at least 1, num_workers={workers} at least 0')
    if len(dataset) < ranks:
        raise UserError(f'{ranks} ranks, but data_root holds {len(dataset)} images; start at most {len(dataset)} ranks')
    if cfg.get('sync_bn') not in (None, 'torch'):
        raise UserError(f"sync_bn='{cfg.sync_bn}' is not supported; set sync_bn='torch' or leave it out")
    iterations, per_epoch = lengths(cfg, len(dataset), ranks)
    with without_memory():
        model = MODELS.build(copy.deepcopy(cfg.model))
        if cfg.get('sync_bn') and ranks > 1:
            synchronize(model)
    check_fit(model, dataset, batch, ranks, cfg.optim_wrapper.get('accumulative_counts', 1))
    check_optimizer(cfg, model, iterations, per_epoch)
    check_hooks(cfg)
    check_beginning(cfg, model, ranks, iterations)
    dry_step(model, dataset, batch)
    return len(dataset)
