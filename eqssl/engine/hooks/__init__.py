"""Hooks: one small file each."""

from eqssl.engine.hooks.adaptive_topk import AdaptiveTopKHook
from eqssl.engine.hooks.checkpoint import CheckpointHook
from eqssl.engine.hooks.gradient_snr import GradientSNRHook
from eqssl.engine.hooks.log import LogHook
from eqssl.engine.hooks.runtime_info import RuntimeInfoHook
from eqssl.engine.hooks.signals import SignalHook
from eqssl.engine.hooks.teacher_ema import TeacherEMAHook
from eqssl.engine.hooks.unreadable import UnreadableImagesHook

__all__ = [
    'AdaptiveTopKHook',
    'CheckpointHook',
    'GradientSNRHook',
    'LogHook',
    'RuntimeInfoHook',
    'SignalHook',
    'TeacherEMAHook',
    'UnreadableImagesHook',
]
