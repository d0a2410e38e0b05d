"""Decoders from patch features to images."""

from eqssl.models.decoders.conv import ReconDecoder
from eqssl.models.decoders.token import TokenDecoder

__all__ = ['ReconDecoder', 'TokenDecoder']
