"""What follows from other keys of a downstream config."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from eqssl.config.data import named_data
from eqssl.config.tree import dicts
from eqssl.config.wrapper import distributed_wrapper
from eqssl.registry import WEIGHT_INITIALIZERS
from eqssl.utils.errors import UserError

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def is_downstream(cfg: Config) -> bool:
    """Whether a config fine-tunes in mmpretrain, mmseg or mmdet."""
    if (cfg.get('model') or {}).get('type') == 'eqssl.SSLPretrainer':
        return False
    return 'checkpoint' in cfg or cfg.get('default_scope') in ('mmseg', 'mmdet')


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


def complete_finetuning(cfg: Config, loaders: tuple[str, ...] = LOADERS, from_checkpoint: bool = True) -> None:
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
    cfg.data_root = named_data(str(cfg.data_root))
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
