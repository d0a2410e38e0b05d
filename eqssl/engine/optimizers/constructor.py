"""Parameter groups of self-supervised training."""

from __future__ import annotations

from typing import Any

import torch.nn as nn
from mmengine.registry import OPTIMIZERS

from eqssl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS
from eqssl.utils.errors import UserError

FUSED = ('AdamW', 'Adam', 'SGD', 'Adagrad')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OptimWrapperConstructor:
    """Two groups: weights with weight decay, biases and norms (one dimension) without (DINO, iBOT).

    Args:
        optim_wrapper_cfg: with ``optimizer``; torch's fused kernels are the default where they exist.
        paramwise_cfg: ``dict(decay_norm_bias=False)``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.config = dict(optim_wrapper_cfg)
        options = dict(paramwise_cfg or {})
        self.decay_norm_bias = options.pop('decay_norm_bias', False)
        if options:
            raise UserError(f'optim_wrapper.paramwise_cfg.{next(iter(options))} is unknown; known: decay_norm_bias')

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups of the trainable parameters."""
        decay: list[nn.Parameter] = []
        plain: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                single = parameter.ndim <= 1 or name.endswith('.bias')
                (plain if single and not self.decay_norm_bias else decay).append(parameter)
        groups: list[dict[str, Any]] = [{'params': decay}]
        if plain:
            groups.append({'params': plain, 'weight_decay': 0.0})
        return groups

    def __call__(self, model: nn.Module) -> Any:
        """Build the wrapper for a model (bare or wrapped)."""
        config = dict(self.config)
        optimizer = dict(config.pop('optimizer'))
        if optimizer['type'] in FUSED:
            optimizer.setdefault('fused', True)
        config.setdefault('type', 'eqssl.OptimWrapper')
        built = OPTIMIZERS.build({**optimizer, 'params': self.groups(model)})
        return OPTIM_WRAPPERS.build(config, default_args={'optimizer': built})
