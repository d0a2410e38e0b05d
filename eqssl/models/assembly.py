"""Parts of a pretrainer from their configs, checked against each other."""

from __future__ import annotations

from typing import Any

import torch.nn as nn
from mmengine.logging import print_log

from eqssl.models.backbones.contract import describe
from eqssl.models.backbones.conv import take_size_groups
from eqssl.models.necks import Neck
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError, at_key
from eqssl.utils.schedule import Schedule


def build(value: object) -> Any:
    """A module from its config; a module or None stays what it is."""
    return MODELS.build(value) if isinstance(value, dict) else value


def build_backbone(config: Any) -> Any:
    """A backbone that takes size groups.

    Raises:
        UserError: its class refuses its options.
    """
    _need_config(config, 'backbone')
    try:
        with at_key('model.backbone'):
            return take_size_groups(build(config))
    except (AssertionError, KeyError, ValueError, TypeError) as error:
        kind = config.get('type') if isinstance(config, dict) else type(config).__name__
        reason = str(error) or 'a check of its own failed'
        raise UserError(f'model.backbone {kind} refuses its options: {type(error).__name__}: {reason}') from error


def _need_config(config: object, name: str) -> None:
    if not isinstance(config, (dict, nn.Module)):
        raise UserError(f'model.{name}={config!r} must be a dict with a type')


def build_head(config: dict | nn.Module, backbone: Any, neck: Neck | None) -> Any:
    """The head, as wide as the features that it sees; its last columns reserved where the neck splits there.

    Raises:
        UserError: the backbone or the head cannot give what head or neck need.
    """
    head: Any = config
    _need_config(config, 'head')
    if isinstance(config, dict):
        seen = None if neck is None else neck.head_input_channels
        with at_key('model.head'):
            head = MODELS.build({'in_channels': seen or backbone.embed_dims, **config})
    with at_key('model.head'):
        head.ema()
    has_patches = describe(backbone).mask_token is not None
    if head.needs_masks and not has_patches:
        raise UserError(
            f'model.head {type(head).__name__} needs masked patch tokens, but model.backbone '
            f'{type(backbone).__name__} has no mask token; use eqssl.VisionTransformer, or a head without masks '
            '(eqssl.DINOHead)'
        )
    if neck is not None and neck.blocks and not has_patches:
        raise UserError(f"model.neck: split_at='block:k' needs a ViT, not {type(backbone).__name__}")
    if neck is not None and neck.takes_head_columns:
        head.reserve_columns(neck.equi_dims)
    return head


def active_tasks(auxiliary: dict[str, dict]) -> tuple[dict[str, Schedule], dict[str, dict]]:
    """Weights (numbers or schedules) and configs of the tasks whose weight is not always 0."""
    weights, configs = {}, {}
    for name, config in auxiliary.items():
        if config is None:  # config inheritance switches a task off with auxiliary.name=None
            continue
        with at_key(f'model.auxiliary.{name}'):
            weight = Schedule.of(config.get('weight', 1.0), 'weight')
            if min(weight.values) < 0:
                raise UserError(f'weight={config["weight"]} is negative')
        if not any(weight.values):
            print_log(f'auxiliary task {name} has weight 0 and is not built', 'current')
            continue
        weights[name] = weight
        configs[name] = {k: v for k, v in config.items() if k != 'weight'}
    return weights, configs


def build_tasks(configs: dict[str, dict]) -> dict[str, Any]:
    """Tasks from their configs; what one refuses is told with its key.

    Raises:
        UserError: a name that no module can have, or options that do not fit.
    """
    tasks = {}
    for name, config in configs.items():
        if not name.isidentifier() or hasattr(nn.ModuleDict(), name):
            raise UserError(f"model.auxiliary: '{name}' cannot be the name of a task; choose a plain word")
        with at_key(f'model.auxiliary.{name}'):
            tasks[name] = MODELS.build(config)
    return tasks


def check_widths(backbone: Any, head: Any, neck: Neck | None) -> None:
    """Widths that must agree, named by their config keys."""
    width = backbone.embed_dims
    seen = width if neck is None or neck.head_input_channels is None else neck.head_input_channels
    if head.in_channels != seen:
        raise UserError(
            f'model.head.in_channels={head.in_channels}, but it sees features of width {seen}; set it to {seen}'
        )
    if neck is None:
        return
    if neck.in_channels not in (None, width):
        raise UserError(
            f'model.neck.in_channels={neck.in_channels}, but model.backbone is {width} wide; set it to {width}'
        )
    if neck.head_outputs is not None and head.prototype_dims not in (None, neck.head_outputs):
        raise UserError(
            f'model.head.out_dim={head.prototype_dims}, but model.neck leaves out_channels - equi_dims = '
            f'{neck.inv_dims} invariant columns to the head; set out_dim={neck.inv_dims}'
        )
