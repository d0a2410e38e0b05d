"""A GPU without one: torch's fake tensors have a device and no values, so whatever the host must wait for is seen."""

from __future__ import annotations

import copy
import traceback
from collections import Counter
from typing import Any

import torch
import torch.nn as nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device('cuda:0')
WAITS = ('_local_scalar_dense', 'nonzero', 'masked_select', 'unique', 'is_nonzero', 'equal')


class HostWaits(TorchDispatchMode):
    """Counts calls for which the host waits: reads, shapes that depend on values, copies between host and device.

    Attributes:
        found: how often, by name of the operator and the line of eqssl that calls it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        devices = {x.device for x in (*args, out) if isinstance(x, torch.Tensor)}
        if name in WAITS or (name in ('_to_copy', 'copy_') and len(devices) > 1):
            lines = [f for f in traceback.extract_stack() if '/eqssl/' in f.filename]
            self.found[f'{name} in {lines[-1].filename}:{lines[-1].lineno}' if lines else name] += 1
        return out


def on_fake_gpu(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """A copy of a model whose parameters and buffers lie on a fake GPU."""
    with FakeCopyMode(mode):
        model = copy.deepcopy(model)
    for module in model.modules():
        for kind in (module._parameters, module._buffers):
            for name, value in kind.items():
                if value is not None:
                    fake = torch.empty_like(value, device=DEVICE, requires_grad=False)
                    kind[name] = nn.Parameter(fake, value.requires_grad) if kind is module._parameters else fake
        if hasattr(module, '_set_device'):  # mmengine's models remember where they are
            module._set_device(DEVICE)
    return model


def fake_batch(data: Any) -> Any:
    """A batch on the fake GPU."""
    if isinstance(data, dict):
        return {key: fake_batch(value) for key, value in data.items()}
    return torch.empty(data.shape, dtype=data.dtype, device=DEVICE) if isinstance(data, torch.Tensor) else data
