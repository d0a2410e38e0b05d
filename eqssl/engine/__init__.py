"""What mmengine lacks for self-supervised training: loop, hooks, optimizer wrapper, exact resume."""

from eqssl.engine.hooks import (
    AdaptiveTopKHook,
    CheckpointHook,
    GradientSNRHook,
    LogHook,
    RuntimeInfoHook,
    SignalHook,
    TeacherEMAHook,
    UnreadableImagesHook,
)
from eqssl.engine.loop import PretrainLoop
from eqssl.engine.optimizers import LARS, OptimWrapper, OptimWrapperConstructor
from eqssl.engine.runner import Runner
from eqssl.engine.schedulers import CosineSchedule

__all__ = [
    'LARS',
    'AdaptiveTopKHook',
    'CheckpointHook',
    'CosineSchedule',
    'GradientSNRHook',
    'LogHook',
    'OptimWrapper',
    'OptimWrapperConstructor',
    'PretrainLoop',
    'Runner',
    'RuntimeInfoHook',
    'SignalHook',
    'TeacherEMAHook',
    'UnreadableImagesHook',
]
