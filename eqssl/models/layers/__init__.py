"""Layers that several models share."""

from eqssl.models.layers.batch_norm import StatisticsGuard, SyncBatchNorm, has_batch_norm, is_synchronized, synchronize
from eqssl.models.layers.step_state import StepState, commit_step

__all__ = [
    'StatisticsGuard',
    'StepState',
    'SyncBatchNorm',
    'commit_step',
    'has_batch_norm',
    'is_synchronized',
    'synchronize',
]
