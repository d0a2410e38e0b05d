"""Optimizer wrapper: autocast on any device, clipping and finite check without a host read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn as nn
from mmengine.optim import OptimWrapper as MMOptimWrapper
from torch import Tensor
from torch.optim import Optimizer

from eqssl.registry import OPTIM_WRAPPERS
from eqssl.utils.errors import UserError

PRECISIONS = {'fp32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(MMOptimWrapper):
    """mmengine's OptimWrapper for self-supervised training.

    A step whose loss or gradient is not finite, on any rank, changes nothing: a non-finite loss poisons its gradient
    (so the all-reduce tells every rank), the flag stays on the device, and the fused optimizer skips the update when
    told so (as torch's GradScaler does). ``finite`` and ``grad_norm`` are the device values of the last step;
    ``nonfinite_steps`` counts skipped steps, ``nonfinite_run`` those in a row.

    Args:
        optimizer: one that takes ``found_inf`` (torch's fused AdamW, Adam, SGD, Adagrad).
        accumulative_counts: micro-batches per optimizer step.
        clip_grad: ``dict(max_norm=3.0, per_parameter=True)`` clips each parameter's gradient norm (DINO, iBOT);
            ``per_parameter=False`` clips the norm of the whole gradient.
        precision: 'fp32', 'bf16' (autocast, no scaler) or 'fp16' (autocast with loss scaling).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
        precision: str = 'fp32',
    ) -> None:
        if precision not in PRECISIONS:
            raise UserError(f"optim_wrapper.precision='{precision}' is none of {', '.join(PRECISIONS)}")
        unknown = set(clip_grad or {}) - {'max_norm', 'per_parameter'}
        if unknown:
            raise UserError(f'optim_wrapper.clip_grad.{unknown.pop()} is unknown; known: max_norm, per_parameter')
        if not getattr(optimizer, '_step_supports_amp_scaling', False):
            raise UserError(
                f'optim_wrapper.optimizer {type(optimizer).__name__} cannot skip a non-finite step on the device; use '
                'eqssl.LARS, or torch AdamW, Adam, SGD, Adagrad with fused=True'
            )
        super().__init__(optimizer, accumulative_counts)
        _start_velocities(optimizer)
        self.clip = dict(clip_grad) if clip_grad else None
        self.dtype = PRECISIONS[precision]
        self.device = optimizer.param_groups[0]['params'][0].device
        self.scaler = torch.amp.GradScaler(self.device.type) if precision == 'fp16' else None
        self.frozen: list[nn.Parameter] = []
        self.observers: list[Callable[[], None]] = []  # called with every step's gradients in place, before clipping
        self.finite = torch.ones((), dtype=torch.bool, device=self.device)
        self.grad_norm = torch.zeros((), device=self.device)
        self.nonfinite_steps = torch.zeros((), device=self.device)
        self.nonfinite_run = torch.zeros((), device=self.device)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass, besides mmengine's gradient accumulation."""
        with super().optim_context(model):
            if self.dtype is None:
                yield
            else:
                with torch.autocast(self.device.type, dtype=self.dtype):
                    yield

    def backward(self, loss: Tensor, **kwargs: object) -> None:
        """Backward; a non-finite loss makes every gradient NaN."""
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        seed = torch.where(torch.isfinite(loss.detach()), torch.ones_like(loss), torch.full_like(loss, torch.nan))
        loss.backward(gradient=seed, **kwargs)
        self._inner_count += 1

    def _gradients(self) -> list[Tensor]:
        for parameter in self.frozen:
            parameter.grad = None
        return [p.grad for g in self.optimizer.param_groups for p in g['params'] if p.grad is not None]

    @torch.no_grad()
    def _check(self, grads: list[Tensor]) -> Tensor:
        """Gradient norm and finite flag, on the device; returns each gradient's norm."""
        norms = torch.stack(torch._foreach_norm(grads))
        self.grad_norm = torch.linalg.vector_norm(norms)
        self.finite = torch.isfinite(self.grad_norm)
        self.nonfinite_steps += ~self.finite
        self.nonfinite_run = torch.where(self.finite, torch.zeros_like(self.nonfinite_run), self.nonfinite_run + 1)
        return norms

    @torch.no_grad()
    def _clip(self, grads: list[Tensor], norms: Tensor) -> None:
        """Clipping, on the device."""
        if self.clip is None:
            return
        if self.clip.get('per_parameter', False):
            scale = (self.clip['max_norm'] / (norms + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(grads, list(scale.unbind()))
        else:
            torch._foreach_mul_(grads, (self.clip['max_norm'] / (self.grad_norm + 1e-6)).clamp(max=1.0))

    def step(self, **kwargs: object) -> None:
        """Clip and step; skipped on the device where the gradient is not finite."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        grads = self._gradients()
        norms = self._check(grads)
        for observe in self.observers:
            observe()
        self._clip(grads, norms)
        optimizer: Any = self.optimizer
        optimizer.found_inf = (~self.finite).float()
        optimizer.grad_scale = None
        self.optimizer.step(**kwargs)
        if self.scaler is not None:
            self.scaler.update()

    def state_dict(self) -> dict:
        """The optimizer's state, counters of skipped steps and the loss scale."""
        state = super().state_dict()
        state['eqssl'] = {
            'nonfinite_steps': self.nonfinite_steps,
            'nonfinite_run': self.nonfinite_run,
            'grad_norm': self.grad_norm,  # shown until the next step, also after a resume
            'scaler': None if self.scaler is None else self.scaler.state_dict(),
        }
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Inverse of :meth:`state_dict`."""
        state_dict = dict(state_dict)
        own = state_dict.pop('eqssl')
        super().load_state_dict(state_dict)
        self.nonfinite_steps = own['nonfinite_steps'].to(self.device)
        self.nonfinite_run = own['nonfinite_run'].to(self.device)
        self.grad_norm = own['grad_norm'].to(self.device)
        if self.scaler is not None and own['scaler'] is not None:
            self.scaler.load_state_dict(own['scaler'])


def _start_velocities(optimizer: Optimizer) -> None:
    """Zero velocities for SGD: torch's fused kernel fails on parameters that take their first step later than others
    (frozen prototypes); a velocity of 0 makes the same first step as none."""
    if not isinstance(optimizer, torch.optim.SGD):
        return
    for group in optimizer.param_groups:
        if group['momentum'] and not group['dampening']:
            for parameter in group['params']:
                optimizer.state[parameter].setdefault('momentum_buffer', torch.zeros_like(parameter))
