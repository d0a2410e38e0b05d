"""Deterministic counters of a step: FLOPs, saved bytes, host reads, calls. They do not depend on the machine's load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_flop_count,
)

_counts: Counter[str] = Counter()


def count(name: str, amount: int = 1) -> None:
    """Add to a named counter of this process ('backbone_calls', 'decodes', 'collectives')."""
    _counts[name] += amount


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Named counters of the enclosed block; filled in when it ends."""
    before = Counter(_counts)
    result: Counter[str] = Counter()
    try:
        yield result
    finally:
        result.update({k: v - before[k] for k, v in _counts.items() if v != before[k]})


class HostReads(TorchDispatchMode):
    """Counts reads of device values by the host (``.item()``, ``float(t)``, ``if t:``) and all ATen calls."""

    _READS = ('_local_scalar_dense', 'equal', 'is_nonzero')

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        if func.overloadpacket.__name__ in self._READS:
            self.reads += 1
        return func(*args, **(kwargs or {}))


Shape = tuple[int, ...]


def _flash_cpu(q: Shape, k: Shape, v: Shape, *args: object, out_shape: object = None, **kwargs: object) -> int:
    return sdpa_flop_count(q, k, v)


def _flash_cpu_backward(
    grad: object, q: Shape, k: Shape, v: Shape, *args: object, out_shape: object = None, **kwargs: object
) -> int:
    return 2 * sdpa_flop_count(q, k, v)  # the recomputation inside the kernel is not counted, as for every other layer


def flop_counter() -> FlopCounterMode:
    """torch's FLOP counter (2 per multiply-add) with the CPU flash attention that it does not know."""
    aten = torch.ops.aten
    mapping = {
        aten._scaled_dot_product_flash_attention_for_cpu: _flash_cpu,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _flash_cpu_backward,
    }
    return FlopCounterMode(display=False, custom_mapping=mapping)


@contextmanager
def saved_bytes(exclude: list[Tensor]) -> Iterator[Counter[str]]:
    """Bytes that autograd keeps for backward, every storage once, ``exclude`` (parameters) left out."""
    result: Counter[str] = Counter()
    seen = {t.untyped_storage()._cdata for t in exclude}
    keep: list[Tensor] = []  # a freed storage could give its address to another

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in seen:
            seen.add(storage._cdata)
            keep.append(tensor)
            result['bytes'] += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield result


@dataclass
class StepCounts:
    """What one training step costs, per image where it says so."""

    flops_per_image: float
    saved_bytes_per_image: float
    host_reads: int
    aten_calls: int
    backbone_calls: int
    collectives: int
    parameters: int


def count_step(loss: Callable[[], Tensor], parameters: list[Tensor], images: int) -> StepCounts:
    """Count forward and backward of ``loss``.

    Args:
        loss: runs the forward pass and returns the scalar loss.
        parameters: of the model.
        images: in the batch.
    """
    with counted() as named, flop_counter() as flops, HostReads() as reads:
        with saved_bytes(parameters) as saved:
            value = loss()
        value.backward()
    return StepCounts(
        flops_per_image=flops.get_total_flops() / images,
        saved_bytes_per_image=saved['bytes'] / images,
        host_reads=reads.reads,
        aten_calls=reads.calls,
        backbone_calls=named['backbone_calls'],
        collectives=named['collectives'],
        parameters=sum(p.numel() for p in parameters),
    )
