"""What a data worker does when it starts."""

from __future__ import annotations

import os
import signal

import cv2
import torch

from eqssl.registry import FUNCTIONS

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class _ObeySecond:
    """Ignores the first signal: a scheduler signals every process of a job, and the training process must still get its
    batches until it has saved. The second one (the data loader ending its workers) ends the process."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, number: int, frame: object) -> None:
        self.seen += 1
        if self.seen > 1:
            os._exit(0)


@FUNCTIONS.register_module()
def init_worker(worker_id: int, **kwargs: object) -> None:
    """One thread, and no death by the first SIGTERM or SIGUSR1. Workers draw nothing: a sample's seed is its position.

    Args:
        worker_id: of the data loader.
        kwargs: seed and rank from mmengine, not needed.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    handler = _ObeySecond()
    for number in _SIGNALS:
        signal.signal(number, handler)
