"""Losses: functions of tensors, one idea per file."""

from eqssl.models.losses.cross_entropy import (
    cls_cross_entropy,
    patch_cross_entropy,
    teacher_probabilities,
)

__all__ = ['cls_cross_entropy', 'patch_cross_entropy', 'teacher_probabilities']
