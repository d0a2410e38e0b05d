"""How much of the gradient is signal: its signal-to-noise ratio over the iterations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from eqssl.registry import HOOKS
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


@HOOKS.register_module()
class GradientSNRHook(Hook):
    """Logs ``gradient_snr``: moving mean over moving variance of the gradient, averaged over parameters (EffSSL).

    The mean and the variance of every weight's gradient are exponential moving averages over optimizer steps (bias
    corrected); the ratio is ``mean^2 / variance`` (GSNR, Liu et al. 2020), or ``|mean| / variance`` with
    ``squared=False``.
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
        self.steps: Tensor = torch.zeros(())

    def before_train(self, runner: Runner) -> None:
        """Watch the gradients."""
        named = [(n, p) for n, p in runner.bare_model.named_parameters() if p.requires_grad]
        self.watched = [p for n, p in named if n.startswith(self.prefix)]
        if not self.watched:
            raise UserError(f"GradientSNRHook: no trainable parameter starts with prefix='{self.prefix}'")
        device = self.watched[0].device
        if [t.shape for t in self.mean] != [p.shape for p in self.watched]:  # a new run, or one that watched others
            self.steps = torch.zeros(())
            self.mean = [torch.zeros_like(p) for p in self.watched]
            self.square = [torch.zeros_like(p) for p in self.watched]
        else:  # resumed
            self.mean, self.square = [t.to(device) for t in self.mean], [t.to(device) for t in self.square]
        self.steps = self.steps.to(device)
        self.wrapper = runner.optim_wrapper
        self.wrapper.observers.append(self.observe)
        runner.monitors['gradient_snr'] = self.measure

    @torch.no_grad()
    def observe(self) -> None:
        """Add the present gradients to the averages; a step that is skipped as non-finite changes nothing."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad.nan_to_num(0.0, 0.0, 0.0) for p in self.watched]
        share = self.wrapper.finite.to(self.steps.dtype)
        for average, new in ((self.mean, grads), (self.square, torch._foreach_mul(grads, grads))):
            change = torch._foreach_sub(new, average)
            torch._foreach_mul_(change, share * (1 - self.momentum))
            torch._foreach_add_(average, change)
        self.steps += share

    @torch.no_grad()
    def measure(self) -> float:
        """The ratio, averaged over all watched numbers, in one read; NaN before the second step."""
        correction = 1 - self.momentum**self.steps
        sums = []
        for mean, square in zip(self.mean, self.square, strict=True):
            m, s = mean / correction, square / correction
            variance = (s - m.square()).clamp(min=1e-20)
            sums.append((m.square() if self.squared else m.abs()).div(variance).sum(dtype=torch.float64))
        ratio = torch.stack(sums).sum() / sum(m.numel() for m in self.mean)
        return float(torch.where(self.steps < 2, torch.nan, ratio))

    def state_dict(self) -> dict[str, Any]:
        """The averages."""
        return {
            'mean': [t.cpu() for t in self.mean],
            'square': [t.cpu() for t in self.square],
            'steps': self.steps.cpu(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.mean, self.square, self.steps = state['mean'], state['square'], state['steps']
