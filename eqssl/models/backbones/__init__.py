"""Backbones: lists of size groups in, CLS and patch tokens out."""

from eqssl.models.backbones.vit import VisionTransformer

__all__ = ['VisionTransformer']
