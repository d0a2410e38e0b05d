"""Batch norm over all ranks on any device, and its statistics under skipped steps."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from eqssl.models.layers.step_state import StepState
from eqssl.utils import dist
from eqssl.utils.precision import float32_island, precise


def has_batch_norm(module: nn.Module) -> bool:
    """Whether any batch norm is inside."""
    return any(isinstance(m, _BatchNorm) for m in module.modules())


class SyncBatchNorm(_BatchNorm):
    """What torch.nn.SyncBatchNorm computes, for devices that it does not know (gloo on the CPU)."""

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(f'expected at least 2 dimensions, found {x.ndim}')

    def forward(self, x: Tensor) -> Tensor:
        """``[n, C, ...]``; n may not differ between ranks."""
        if not self.training or dist.world_size() == 1:
            return super().forward(x)
        with float32_island(x.device):
            return self._over_ranks(precise(x)).to(x.dtype)

    def _over_ranks(self, x: Tensor) -> Tensor:
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        count = x.numel() // x.shape[1] * dist.world_size()
        mean = dist.sum_with_gradient(x.sum(axes)) / count
        centered = x - mean.view(shape)
        variance = dist.sum_with_gradient(centered.square().sum(axes)) / count
        if self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                momentum = 0.0 if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * count / max(1, count - 1), momentum)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
        y = centered * (variance + self.eps).rsqrt().view(shape)
        return y if self.weight is None else y * self.weight.view(shape) + self.bias.view(shape)


def is_synchronized(module: nn.Module) -> bool:
    """Whether batch norms share their statistics over ranks."""
    return any(isinstance(m, (SyncBatchNorm, nn.SyncBatchNorm)) for m in module.modules())


def synchronize(module: nn.Module) -> nn.Module:
    """Turn every batch norm into a synchronized one, in place: torch's on a GPU, ours elsewhere.

    Weights, statistics and names stay.
    """
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if not isinstance(child, _BatchNorm) or is_synchronized(child):
                continue
            on_gpu = any(t.is_cuda for t in (*child.parameters(), *child.buffers()))
            kind = nn.SyncBatchNorm if on_gpu else SyncBatchNorm
            synced = kind(child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats)
            synced.weight, synced.bias = child.weight, child.bias
            synced.running_mean, synced.running_var = child.running_mean, child.running_var
            synced.num_batches_tracked = child.num_batches_tracked
            setattr(parent, name, synced.train(child.training))
    return module


class StatisticsGuard(StepState, nn.Module):
    """Puts running statistics back where they were before an optimizer step that was skipped as non-finite.

    They have moved in the forward passes already: a real step keeps what is there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._live: list[Tensor] | None = None
        self._saved: list[Tensor] = []
        self._armed = False

    def before_forward(self, model: nn.Module) -> None:
        """Remember the statistics, once per optimizer step."""
        if self._live is None:
            norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
            self._live = [b for m in norms for b in m.buffers(recurse=False)]
            self._saved = [torch.empty_like(b) for b in self._live]
        if not self._armed and self._live:
            torch._foreach_copy_(self._saved, self._live)
        self._armed = True

    def commit(self, total: Tensor | None, finite: Tensor | None) -> None:
        """Keep the new ones where ``finite``, else the old ones; nothing is copied where it is None."""
        if finite is not None and self._armed:
            for live, saved in zip(self._live or (), self._saved, strict=True):
                live.copy_(torch.where(finite, live, saved))
        self._armed = False
