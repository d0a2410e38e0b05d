"""Parameter groups of pre-training, and of fine-tuning in mmpretrain, mmseg and mmdet."""

from __future__ import annotations

from typing import Any

import torch.nn as nn
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import OPTIMIZERS

from eqssl.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS
from eqssl.utils.errors import UserError
from eqssl.utils.tables import format_table

FUSED = ('AdamW', 'Adam', 'SGD', 'Adagrad')
FACTORS = ('layer_decay', 'patch_embed_lr', 'norm_bias_lr')
KNOWN = ('decay_norm_bias', 'decay_tokens', 'constant_lr', *FACTORS)
TOKENS = ('cls_token', 'pos_embed', 'mask_token', 'register_tokens')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OptimWrapperConstructor:
    """Weights with weight decay; biases and norms (one dimension) without (DINO, iBOT), and without LARS's adaptation.

    Args:
        optim_wrapper_cfg: with ``optimizer``; torch's fused kernels are the default where they exist.
        paramwise_cfg: any of

            - ``decay_norm_bias=True``: weight decay (and adaptation) on all parameters (SimSiam, SwAV);
            - ``norm_bias_lr``: factor for the learning rate of biases and norms (Barlow Twins: 0.024);
            - ``layer_decay``: a layer's learning rate is ``layer_decay ** (layers above it)``; heads have the full one
              (DINOv2: 0.9). The depth of a parameter is the backbone's ``get_layer_depth`` (mmpretrain's ViT): class,
              position and mask tokens and the patch embedding lie at 0. A table of the groups is printed;
            - ``decay_tokens=False``: no weight decay on these tokens (fine-tuning; DINO and iBOT decay them);
            - ``patch_embed_lr``: further factor for the patch embedding (DINOv2: 0.2);
            - ``constant_lr``: list of name prefixes whose learning rate no schedule changes (SimSiam:
              ``['head.predictor']``).
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.config = dict(optim_wrapper_cfg)
        self.options = dict(paramwise_cfg or {})
        for key in self.options:
            if key not in KNOWN:
                raise UserError(f'optim_wrapper.paramwise_cfg.{key} is unknown; known: {", ".join(KNOWN)}')
        for key in FACTORS:
            value = self.options.get(key, 1.0)
            if not isinstance(value, (int, float)) or not 0 < value <= 1:
                raise UserError(f'optim_wrapper.paramwise_cfg.{key}={value} is not in (0, 1]')

    def _lr_scale(self, model: Any, name: str, single: bool) -> float:
        """Factor of a parameter's learning rate."""
        scale, decay = 1.0, self.options.get('layer_decay')
        if decay is not None and name.startswith('backbone.'):
            try:
                layer, layers = model.backbone.get_layer_depth(name, 'backbone.')
            except (AttributeError, NotImplementedError) as error:
                raise UserError(
                    f'optim_wrapper.paramwise_cfg.layer_decay: {type(model.backbone).__name__} knows no layer depths; '
                    'leave it out'
                ) from error
            scale *= decay ** (layers - 1 - layer)
        if 'patch_embed' in name:
            scale *= self.options.get('patch_embed_lr', 1.0)
        return scale * (self.options.get('norm_bias_lr', 1.0) if single else 1.0)

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups of the trainable parameters, one per combination of settings."""
        constant = tuple(self.options.get('constant_lr', ()))
        groups: dict[tuple, dict[str, Any]] = {}
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            single = parameter.ndim <= 1 or name.endswith('.bias')
            token = name.rpartition('.')[2] in TOKENS and not self.options.get('decay_tokens', True)
            free = token or (single and not self.options.get('decay_norm_bias', False))
            fixed = bool(constant) and name.startswith(constant)
            scale = self._lr_scale(model, name, single)
            group = groups.setdefault((scale, free, fixed), {'params': []})
            group['params'].append(parameter)
            if free:
                group['weight_decay'] = 0.0
            if scale != 1.0:
                group['lr_scale'] = scale
            if fixed:
                group['constant_lr'] = True
            if free and self._is_lars:
                group['adapt'] = False
        if 'patch_embed_lr' in self.options and not any('patch_embed' in name for name, _ in model.named_parameters()):
            raise UserError(
                'optim_wrapper.paramwise_cfg.patch_embed_lr: the model has no patch embedding; leave it out'
            )
        for prefix in constant:
            if not any(name.startswith(prefix) for name, _ in model.named_parameters()):
                raise UserError(f"optim_wrapper.paramwise_cfg.constant_lr: no parameter starts with '{prefix}'")
        return list(groups.values())

    @property
    def _is_lars(self) -> bool:
        return self.config['optimizer']['type'] == 'eqssl.LARS'

    def __call__(self, model: nn.Module) -> Any:
        """Build the wrapper for a model (bare or wrapped)."""
        bare: Any = model.module if is_model_wrapper(model) else model
        groups = self.groups(bare)
        if 'layer_decay' in self.options and 'lr' in self.config['optimizer']:
            print_log(
                'parameter groups\n' + group_table(bare, self._rates(groups), self.config['optimizer']), 'current'
            )
        return self.build(groups)

    def _rates(self, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The groups with their own learning rates."""
        for group in groups:
            if 'lr_scale' in group:
                group['lr'] = self.config['optimizer']['lr'] * group['lr_scale']
        return groups

    def build(self, groups: list[dict[str, Any]]) -> Any:
        """The wrapper over groups of parameters, see :meth:`groups`."""
        config = dict(self.config)
        optimizer = dict(config.pop('optimizer'))
        if optimizer['type'] in FUSED:
            optimizer.setdefault('fused', True)
        config.setdefault('type', 'eqssl.OptimWrapper')
        if 'lr' not in optimizer:
            raise UserError('optim_wrapper.optimizer.lr is missing')
        built = OPTIMIZERS.build({**optimizer, 'params': self._rates(groups)})
        return OPTIM_WRAPPERS.build(config, default_args={'optimizer': built})


def group_table(model: nn.Module, groups: list[dict[str, Any]], optimizer: dict[str, Any]) -> str:
    """One line per group, from the smallest learning rate on: rate, decay, number of tensors and weights, a name."""
    names = {id(p): name for name, p in model.named_parameters()}
    rows = [
        {
            'lr': f'{group.get("lr", optimizer["lr"]):.3g}',
            'weight decay': group.get('weight_decay', optimizer.get('weight_decay', 0.0)),
            'tensors': len(group['params']),
            'weights': sum(p.numel() for p in group['params']),
            'first': names[id(group['params'][0])],
        }
        for group in sorted(groups, key=lambda g: g.get('lr', optimizer['lr']))
    ]
    return format_table(rows)
