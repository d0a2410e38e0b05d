"""Backbones: lists of size groups in, CLS and patch tokens out."""

from eqssl.models.backbones.conv import SizeGroups, take_size_groups
from eqssl.models.backbones.vit import VisionTransformer

__all__ = ['SizeGroups', 'VisionTransformer', 'take_size_groups']
