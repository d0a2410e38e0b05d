"""What follows from other keys of a pre-training config."""

from __future__ import annotations

import torch
from mmengine.config import Config

from eqssl.config.data import named_data, sources
from eqssl.config.schema import resolve
from eqssl.config.tree import placed_dicts
from eqssl.config.wrapper import distributed_wrapper
from eqssl.utils.errors import UserError, at_key


def complete_keys(cfg: Config) -> None:
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
    views = dataset.get('views') or {}
    items = getattr(resolve(views['type'], 'train_dataloader.dataset.views'), 'config_items', {}) if views else {}
    specs = []
    for number, view in enumerate(views.get('views', []) if items else []):
        with at_key(f'train_dataloader.dataset.views.views[{number}]'):
            specs.append(items['views'](**view))
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


def complete_pretraining(cfg: Config) -> None:
    """Everything that a pre-training config leaves out.

    Raises:
        UserError: names the key that does not fit.
    """
    complete_keys(cfg)
    complete_beginning(cfg)
    fit_views_to_model(cfg)
