"""Islands of float32 in mixed precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def float32_island(device: torch.device) -> AbstractContextManager:
    """No autocast inside: norms, softmax, centers and losses need float32 (meta tensors know no autocast)."""
    return nullcontext() if device.type == 'meta' else torch.autocast(device.type, enabled=False)
