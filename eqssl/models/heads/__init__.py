"""Heads: a base SSL method each."""

from eqssl.models.heads.base import BaseHead, HeadInput
from eqssl.models.heads.ibot import IBOTHead

__all__ = ['BaseHead', 'HeadInput', 'IBOTHead']
