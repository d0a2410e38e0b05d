"""Necks: from tokens to an invariant and an equivariant part."""

from eqssl.models.necks.base import Neck
from eqssl.models.necks.split_neck import SplitNeck

__all__ = ['Neck', 'SplitNeck']
