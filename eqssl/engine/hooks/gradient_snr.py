"""How much of the gradient is signal: its signal-to-noise ratio over the iterations."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from eqssl.registry import HOOKS
from eqssl.utils.errors import UserError


@HOOKS.register_module()
class GradientSNRHook(Hook):
    """Logs ``gradient_snr``: moving mean over moving variance of the gradient, averaged over parameters (EffSSL).

    The mean and the variance of every weight's gradient are exponential moving averages over optimizer steps (bias
    corrected); the ratio is mean^2 / variance (GSNR, Liu et al. 2020), or |mean| / variance with ``squared=False``.
    Costs two copies of the parameters and a few fused calls per step.

    Args:
        momentum: of the averages, in [0, 1).
        squared: see above.
        prefix: parameters whose names start with it; '' takes all.
    """

    priority = 'NORMAL'

    def __init__(self, momentum: float = 0.99, squared: bool = True, prefix: str = 'backbone.') -> None:
        if not 0 <= momentum < 1:
            raise UserError(f'GradientSNRHook: momentum={momentum} is not in [0, 1)')
        self.momentum, self.squared, self.prefix = momentum, squared, prefix
        self.mean: list[Tensor] = []
        self.square: list[Tensor] = []
        self.steps = 0

    def before_train(self, runner: Any) -> None:
        """Watch the gradients."""
        named = [(n, p) for n, p in runner.bare_model.named_parameters() if p.requires_grad]
        self.watched = [p for n, p in named if n.startswith(self.prefix)]
        if not self.watched:
            raise UserError(f"GradientSNRHook: no trainable parameter starts with prefix='{self.prefix}'")
        if not self.mean:
            self.mean = [torch.zeros_like(p) for p in self.watched]
            self.square = [torch.zeros_like(p) for p in self.watched]
        else:  # resumed
            devices = [p.device for p in self.watched]
            self.mean = [t.to(d) for t, d in zip(self.mean, devices, strict=True)]
            self.square = [t.to(d) for t, d in zip(self.square, devices, strict=True)]
        runner.optim_wrapper.observers.append(lambda _: self.observe())
        runner.monitors['gradient_snr'] = self.measure

    @torch.no_grad()
    def observe(self) -> None:
        """Add the present gradients to the averages; one that is not finite counts as 0."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad.nan_to_num(0.0, 0.0, 0.0) for p in self.watched]
        torch._foreach_lerp_(self.mean, grads, 1 - self.momentum)
        torch._foreach_lerp_(self.square, torch._foreach_mul(grads, grads), 1 - self.momentum)
        self.steps += 1

    @torch.no_grad()
    def measure(self) -> float:
        """The ratio, averaged over all watched numbers; NaN before the second step."""
        if self.steps < 2:
            return float('nan')
        correction = 1 - self.momentum**self.steps
        total, count = torch.zeros((), dtype=torch.float64), 0
        for mean, square in zip(self.mean, self.square, strict=True):
            m, s = mean / correction, square / correction
            variance = (s - m.square()).clamp(min=1e-20)
            total += (m.square() if self.squared else m.abs()).div(variance).sum(dtype=torch.float64).cpu()
            count += m.numel()
        return float(total / count)

    def state_dict(self) -> dict[str, Any]:
        """The averages."""
        return {'mean': [t.cpu() for t in self.mean], 'square': [t.cpu() for t in self.square], 'steps': self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.mean, self.square, self.steps = state['mean'], state['square'], state['steps']
