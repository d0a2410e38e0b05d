"""All randomness of a sample is a function of (seed, position, stream): no generator carries state.

``position`` is the sample's place in the whole run. In the data worker a counter-based numpy generator draws crops,
photometric parameters and masks; on the device the auxiliary tasks draw with integer hashing, which gives the same
bits on every device. A stream is a name, so that adding a task moves no other draw.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

_MASK64 = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(x: int) -> int:
    """splitmix64's finalizer (Steele et al. 2014) on Python integers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK64
    return x ^ (x >> 31)


def stream_id(stream: str) -> int:
    """A stable 32-bit number for a stream's name."""
    return zlib.crc32(stream.encode())


def sample_key(seed: int, position: int) -> int:
    """Hash of (seed, position) as a signed 64-bit integer; it travels with the sample."""
    key = _mix((_mix((seed * _GOLDEN + 1) & _MASK64) + position * _GOLDEN) & _MASK64)
    return key - (1 << 64) if key >= 1 << 63 else key


def sample_rng(seed: int, position: int, stream: str) -> np.random.Generator:
    """The numpy generator of one sample's stream."""
    bits = np.random.Philox(key=[sample_key(seed, position) & _MASK64, stream_id(stream)])
    return np.random.Generator(bits)


@contextmanager
def own_stream(stream: str) -> Iterator[None]:
    """Initial weights inside are drawn from a stream of their own (torch's initial seed and the name).

    The base method's weights are then the same with and without neck and auxiliary tasks.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sample_key(torch.initial_seed(), stream_id(stream)) & (_MASK64 >> 1))
        yield


def _shift_right(x: Tensor, n: int) -> Tensor:
    """Logical right shift of int64 (torch's is arithmetic)."""
    return (x >> n) & ((1 << (64 - n)) - 1)


def _signed(x: int) -> int:
    x &= _MASK64
    return x - (1 << 64) if x >= 1 << 63 else x


def _mix_tensor(x: Tensor) -> Tensor:
    x = (x ^ _shift_right(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shift_right(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shift_right(x, 31)


def uniforms(key: Tensor, stream: str, count: int) -> Tensor:
    """Uniform numbers in [0, 1) from sample keys, on the keys' device.

    Args:
        key: ``[B]`` int64 (see :func:`sample_key`).
        stream: name of the draw.
        count: numbers per sample.

    Returns:
        ``[B, count]`` float32, multiples of 2**-24, the same bits on every device.
    """
    counter = torch.arange(1, count + 1, device=key.device, dtype=torch.int64) * _signed(_GOLDEN)
    start = _mix_tensor(key + _signed(stream_id(stream) * _GOLDEN))
    bits = _mix_tensor(start[:, None] + counter[None, :])
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24
