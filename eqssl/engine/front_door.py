"""What happens to a config before the Runner sees it: read, checked, completed."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from eqssl.datasets.fetch import CIFAR10, CIFAR100, fetch_cifar
from eqssl.datasets.multicrop import ViewSpec
from eqssl.datasets.photos import photos_folder
from eqssl.utils.config_check import DOWNSTREAM_KEYS, RUNNER_KEYS, check_keys, refuse_repeated_keys
from eqssl.utils.config_options import Options, expand_home, parse_options
from eqssl.utils.config_tree import dicts, placed_dicts
from eqssl.utils.env import LIBRARIES
from eqssl.utils.errors import UserError, did_you_mean

MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def read_config(path: str, options: Options | None = None) -> Config:
    """A config file with command-line options merged in.

    Only ``.py`` files are read; a config is code, like any script.

    Args:
        path: the file.
        options: ``key=value`` strings as typed, or a dict of values.

    Raises:
        UserError: no such file, an error inside it, or an option that does not fit.
    """
    if not Path(path).is_file():
        raise UserError(f"config '{path}' does not exist")
    if Path(path).suffix != '.py':
        raise UserError(f"config '{path}' is not a .py file")
    try:
        cfg = Config.fromfile(path)
        refuse_repeated_keys(Path(path))
    except UserError:
        raise
    except ModuleNotFoundError as error:
        package, install = LIBRARIES.get(str(error).split()[0], (str(error), 'install it'))  # of a base 'mmdet::...'
        raise UserError(f"config '{path}' needs {package}; {install}") from error
    except Exception as error:  # whatever a config file raises is the config's fault
        raise UserError(f"config '{path}' cannot be read: {type(error).__name__}: {error}") from error
    drop_hooks(cfg)  # before options, which may set one of them
    known = RUNNER_KEYS | DOWNSTREAM_KEYS | set(cfg)
    values = parse_options(options or {}, cfg)
    for key in values:
        if key.split('.')[0] not in known:
            raise UserError(f"config key '{key}' is unknown{did_you_mean(key.split('.')[0], known)}")
    try:
        cfg.merge_from_dict(values)
    except (KeyError, TypeError, AssertionError, IndexError, ValueError) as error:
        raise UserError(f'--cfg-options does not fit the config: {error}') from error
    drop_hooks(cfg)
    expand_home(cfg)
    return cfg


def drop_hooks(cfg: Config) -> None:
    """Take out hooks that are None, which switches them off; mmengine does so for its own, and asserts for others."""
    for name, hook in list((cfg.get('default_hooks') or {}).items()):
        if hook is None and name not in MMENGINE_HOOKS:
            del cfg.default_hooks[name]


def sources(config: Any) -> list[dict]:
    """All configs of image sources in a config."""
    return [node for node in dicts(config) if node.get('type') in ('eqssl.ImageFolder', 'eqssl.ArrayImages')]


def named_data(root: str) -> str:
    """The place of a set known by name: 'photos', 'objects' (of this repository), 'cifar10', 'cifar100' (fetched)."""
    if Path(root).exists():
        return root
    if root == 'photos':
        return str(photos_folder())
    if root == 'objects':
        return str(Path(__file__).resolve().parents[2] / 'demo' / 'objects64.npz')
    cifar = next((c for c in (CIFAR10, CIFAR100) if c.name == root), None)
    return root if cifar is None else str(fetch_cifar(cifar))


def distributed_wrapper() -> dict[str, Any]:
    """mmengine's wrapper for this rank's device; its own default asks for a GPU."""
    device_ids = [int(os.environ.get('LOCAL_RANK', 0))] if torch.cuda.is_available() else None
    return {'type': 'MMDistributedDataParallel', 'device_ids': device_ids, 'broadcast_buffers': False}


def launch_timeout(cfg: Config) -> float:
    """Seconds that ranks wait for each other: ``env_cfg.dist_cfg.timeout``."""
    return float((cfg.get('env_cfg') or {}).get('dist_cfg', {}).get('timeout', 1800))


def complete(cfg: Config) -> None:
    """Fill in what follows from other keys: data root, seeds, loader defaults, the distributed wrapper."""
    rootless = [source for source in sources(cfg._cfg_dict) if 'data_root' not in source]
    if rootless:
        if cfg.get('data_root') is None:
            raise UserError('data_root is not set; give it with --cfg-options data_root=/path/to/images')
        cfg.data_root = named_data(str(cfg.data_root))
    for source in rootless:
        source['data_root'] = cfg.data_root
    randomness = cfg.setdefault('randomness', {})
    if randomness.get('seed') is None:
        randomness['seed'] = 0
    loader = cfg.train_dataloader
    loader.setdefault('sampler', {'type': 'eqssl.PositionSampler'})
    loader.setdefault('collate_fn', {'type': 'eqssl.collate_views'})
    loader.setdefault('worker_init_fn', {'type': 'eqssl.init_worker'})
    loader.setdefault('num_workers', 0)
    loader.setdefault('pin_memory', torch.cuda.is_available())
    loader['drop_last'] = True
    if loader.num_workers > 0:
        loader.setdefault('persistent_workers', True)
    else:
        loader.pop('prefetch_factor', None)  # without workers nothing is fetched ahead
    loader.dataset['seed'] = randomness['seed']
    for scheduler in cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else [cfg.param_scheduler]:
        if scheduler.get('type') == 'eqssl.CosineSchedule' and scheduler.get('by_epoch', True):
            scheduler['by_epoch'] = scheduler['convert_to_iter_based'] = True
    cfg.setdefault('model_wrapper_cfg', {**distributed_wrapper(), 'gradient_as_bucket_view': True})


def complete_beginning(cfg: Config) -> None:
    """Weights to begin from: top-level ``checkpoint`` into the backbone's initializer.

    Raises:
        UserError: mmengine's ``Pretrained``, or an initializer that is not the backbone's.
    """
    backbone = cfg.model.get('backbone')
    if cfg.get('checkpoint') is not None and isinstance(backbone, dict):
        init = backbone.get('init_cfg')
        if not isinstance(init, dict) or init.get('type') != 'eqssl.PretrainedBackbone':
            backbone['init_cfg'] = {'type': 'eqssl.PretrainedBackbone'}
        backbone['init_cfg']['checkpoint'] = cfg.checkpoint
    for place, node in placed_dicts(cfg.model, 'model'):
        kind = str(node.get('type', '')).rpartition('.')[2]
        if kind == 'Pretrained':
            raise UserError(
                f"{place}: mmengine's Pretrained takes what fits and leaves the rest random; begin with --cfg-options "
                "checkpoint=FILE, or model.backbone.init_cfg=dict(type='eqssl.PretrainedBackbone', checkpoint=FILE)"
            )
        if kind == 'PretrainedBackbone' and place != 'model.backbone.init_cfg':
            raise UserError(
                f'{place}: PretrainedBackbone initializes model.backbone; move it to model.backbone.init_cfg'
            )


def _patch_size(backbone: dict) -> int | None:
    """Patches that crops are cut into without a rest; None where that is the backbone's own affair."""
    return backbone.get('patch_size', 16) if backbone.get('type') == 'eqssl.VisionTransformer' else None


def fit_views_to_model(cfg: Config) -> None:
    """Keys of data and model that must agree; those that are left out follow from the others.

    Raises:
        UserError: a blur larger than the preprocessor's kernel, crops that are no whole number of patches, or a mask
            grid that is not the backbone's.
    """
    dataset, backbone = cfg.train_dataloader.dataset, cfg.model.backbone
    specs = [ViewSpec(**view) for view in dataset.get('views', {}).get('views', [])]
    if not specs:
        return
    largest = max(spec.blur_sigma[1] for spec in specs)
    preprocessor = cfg.model.setdefault('data_preprocessor', {'type': 'eqssl.ViewAugmenter'})
    if preprocessor.setdefault('max_sigma', largest) < largest:
        raise UserError(
            f'model.data_preprocessor.max_sigma={preprocessor["max_sigma"]} is less than the largest blur_sigma of the '
            f'views, {largest}; leave it out'
        )
    patch = _patch_size(backbone)
    if patch is None:
        return
    places = {f'train_dataloader.dataset.views.views[{i}].size': spec.size for i, spec in enumerate(specs)}
    if (cfg.get('evaluation') or {}).get('size') is not None:
        places['evaluation.size'] = cfg.evaluation.size
    for place, size in places.items():
        if size % patch:
            raise UserError(
                f'{place}={size} is no multiple of model.backbone.patch_size={patch}; set it to '
                f'{max(1, round(size / patch)) * patch}'
            )
    mask = dataset.get('mask')
    if mask is None:
        return
    masked = next((s.size for s in specs if s.group == dataset.get('mask_group', 'global')), None)
    if masked is not None and mask.setdefault('grid', masked // patch) != masked // patch:
        raise UserError(
            f'train_dataloader.dataset.mask.grid={mask.get("grid")}, but crops of {masked} px have {masked // patch} '
            f'patches of {patch} px a side; set it to {masked // patch}'
        )


def open_front_door(path: str, options: Options | None = None) -> Config:
    """Read, check and complete a pre-training config; the only way in for every tool."""
    return prepare(read_config(path, options))


def prepare(cfg: Config) -> Config:
    """Check and complete a pre-training config that was read."""
    scope = cfg.get('default_scope', 'mmpretrain')
    init_default_scope(scope)
    with contextlib.redirect_stdout(io.StringIO()):  # mmpretrain prints which optional packages it lacks
        importlib.import_module('mmpretrain.datasets')
    import eqssl.augment
    import eqssl.datasets
    import eqssl.downstream.pretrained
    import eqssl.engine
    import eqssl.evaluation
    import eqssl.models  # noqa: F401  (fills the registries)

    check_keys(cfg._cfg_dict)
    complete(cfg)
    complete_beginning(cfg)
    fit_views_to_model(cfg)
    return cfg
