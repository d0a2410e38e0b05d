"""Numbers on a device."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=1024)
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Float32 numbers ``[n]`` on a device, not to be changed; copied there once, for the host waits for such a copy."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)
