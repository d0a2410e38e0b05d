"""Building models without memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _RampsOnHost(TorchFunctionMode):
    """``torch.linspace`` stays on the CPU: mmpretrain's backbones read drop path rates from it while they are built."""

    def __torch_function__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs['device'] = 'cpu'
        return func(*args, **kwargs)


@contextmanager
def without_memory() -> Iterator[None]:
    """Tensors made inside are on the meta device: shapes without data."""
    with torch.device('meta'), _RampsOnHost():
        yield


def to_meta(value: object) -> Any:
    """The tensors of nested dicts on the meta device."""
    if isinstance(value, torch.Tensor):
        return value.to('meta')
    return {k: to_meta(v) for k, v in value.items()} if isinstance(value, dict) else value
