"""What can be known before the first step: model, data, weights to begin from, evaluation and packages together."""

from __future__ import annotations

import copy
import importlib.util
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from eqssl.engine.fit_check import check_fit
from eqssl.models.layers import synchronize
from eqssl.registry import DATASETS, HOOKS, MODELS, WEIGHT_INITIALIZERS
from eqssl.utils.errors import UserError
from eqssl.utils.meta import to_meta, without_memory

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


def check_evaluation(cfg: Config) -> None:
    """Build the evaluation that a hook will run, and open its data."""
    for hook in [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]:
        if isinstance(hook, dict) and hook.get('type') == 'eqssl.EvaluationHook':
            HOOKS.build({k: v for k, v in hook.items() if k != 'priority'}).prepare(cfg.get('evaluation'))


def check_beginning(cfg: Config) -> None:
    """Load the weights that the backbone begins at, if any."""
    init = cfg.model.backbone.get('init_cfg')
    if isinstance(init, dict) and init.get('type') == 'eqssl.PretrainedBackbone':
        WEIGHT_INITIALIZERS.build(copy.deepcopy(init))(MODELS.build(copy.deepcopy(cfg.model.backbone)))


def dry_step(model: Any, dataset: Any, batch: int) -> None:
    """One forward pass on the meta device: shapes that do not fit are found without computing.

    Args:
        model: on the meta device.
        dataset: its first image stands for all.
        batch: images per rank.

    Raises:
        UserError: what the first step would raise.
    """
    from eqssl.datasets import collate_views

    data = to_meta(collate_views([dataset[(0, 0)]] * batch))
    model.data_preprocessor._device = torch.device('meta')
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
    batch = cfg.train_dataloader.get('batch_size', 1)
    if batch < 1:
        raise UserError(f'train_dataloader.batch_size={batch} must be at least 1')
    if len(dataset) < ranks:
        raise UserError(f'{ranks} ranks, but data_root holds {len(dataset)} images; start at most {len(dataset)} ranks')
    with without_memory():
        model = MODELS.build(copy.deepcopy(cfg.model))
        if cfg.get('sync_bn') and ranks > 1:
            synchronize(model)
    check_fit(model, dataset, batch, ranks, cfg.optim_wrapper.get('accumulative_counts', 1))
    check_beginning(cfg)
    check_evaluation(cfg)
    dry_step(model, dataset, batch)
    return len(dataset)
