"""Layers that several models share."""

from eqssl.models.layers.batch_norm import StatisticsGuard, SyncBatchNorm, has_batch_norm, is_synchronized, synchronize

__all__ = ['StatisticsGuard', 'SyncBatchNorm', 'has_batch_norm', 'is_synchronized', 'synchronize']
