"""LARS: layer-wise adaptive rates for large batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from eqssl.registry import OPTIMIZERS
from eqssl.utils.errors import UserError


@OPTIMIZERS.register_module()
class LARS(Optimizer):
    """SGD with momentum whose step of each weight is scaled by eta ||w|| / ||g + wd w|| (You et al. 2017).

    As the official code of Barlow Twins, VICReg and MoCo v3: the ratio is 1 where a norm is 0; groups with
    ``adapt=False`` (biases and norms, see :class:`OptimWrapperConstructor`) take plain SGD steps. All weights of a
    group are updated by a handful of fused calls without a host read; a step with ``found_inf`` changes nothing.

    Args:
        params: parameters or groups.
        lr: learning rate.
        momentum: of the velocity.
        weight_decay: L2 factor, added to the gradient before the ratio.
        eta: trust coefficient.
    """

    _step_supports_amp_scaling = True
    found_inf: Tensor | None = None
    grad_scale: Tensor | None = None

    def __init__(
        self, params: Any, lr: float, momentum: float = 0.9, weight_decay: float = 0.0, eta: float = 0.001
    ) -> None:
        for name, value in (('lr', lr), ('momentum', momentum), ('weight_decay', weight_decay), ('eta', eta)):
            if value < 0:
                raise UserError(f'optim_wrapper.optimizer.{name}={value} is negative')
        defaults = {'lr': lr, 'momentum': momentum, 'weight_decay': weight_decay, 'eta': eta, 'adapt': True}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of all groups."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            params = [p for p in group['params'] if p.grad is not None]
            if params:
                self._update(group, params)
        return loss

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        found = torch.zeros((), device=params[0].device) if self.found_inf is None else self.found_inf
        keep = 1.0 - found.float()
        # 0 * NaN is NaN, so a factor alone cannot take a bad gradient out
        grads: list[Tensor] = [torch.where(keep > 0, p.grad, 0.0) for p in params]  # type: ignore[arg-type]
        step = list(torch._foreach_add(grads, params, alpha=group['weight_decay']))
        if group['adapt']:
            weight_norms, step_norms = torch._foreach_norm(params), torch._foreach_norm(step)
            weights, steps = torch.stack(weight_norms), torch.stack(step_norms)
            ratio = torch.where((weights > 0) & (steps > 0), group['eta'] * weights / steps, 1.0)
            torch._foreach_mul_(step, list(ratio.unbind()))
        velocity = [self._velocity(p) for p in params]
        torch._foreach_mul_(step, keep)
        torch._foreach_mul_(velocity, group['momentum'] * keep + (1 - keep))
        torch._foreach_add_(velocity, step)
        torch._foreach_sub_(params, torch._foreach_mul(velocity, keep * group['lr']))

    def _velocity(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if 'momentum_buffer' not in state:
            state['momentum_buffer'] = torch.zeros_like(parameter)
        return state['momentum_buffer']
