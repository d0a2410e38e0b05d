"""Losses: functions of tensors, one idea per file."""

from eqssl.models.losses.contrastive import info_nce, nt_xent, supervised_contrastive
from eqssl.models.losses.cosine import byol_regression, negative_cosine
from eqssl.models.losses.cross_entropy import (
    cls_cross_entropy,
    patch_cross_entropy,
    teacher_probabilities,
)
from eqssl.models.losses.koleo import koleo
from eqssl.models.losses.redundancy import barlow_twins, cross_correlation, vicreg_terms
from eqssl.models.losses.sinkhorn import sinkhorn

__all__ = [
    'barlow_twins',
    'byol_regression',
    'cls_cross_entropy',
    'cross_correlation',
    'info_nce',
    'koleo',
    'negative_cosine',
    'nt_xent',
    'patch_cross_entropy',
    'sinkhorn',
    'supervised_contrastive',
    'teacher_probabilities',
    'vicreg_terms',
]
