"""Schedules of optimizer parameters."""

from eqssl.engine.schedulers.cosine import CosineSchedule

__all__ = ['CosineSchedule']
