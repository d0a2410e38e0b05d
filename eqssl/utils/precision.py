"""Islands of float32 in mixed precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def float32_island(device: torch.device) -> AbstractContextManager:
    """No autocast inside: norms, softmax, centers and losses need float32 (meta tensors know no autocast)."""
    return nullcontext() if device.type == 'meta' else torch.autocast(device.type, enabled=False)


def precise(x: Tensor) -> Tensor:
    """Half-precision tensors as float32, others (float32, float64 in tests) as they are."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()
