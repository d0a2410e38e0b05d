"""Models: one algorithm class; backbones, necks, heads, decoders, losses and auxiliary tasks to put into it."""

from eqssl.augment.augmenter import ViewAugmenter
from eqssl.models.auxiliary import IntermediateRecon
from eqssl.models.backbones import VisionTransformer
from eqssl.models.decoders import ReconDecoder, TokenDecoder
from eqssl.models.heads import IBOTHead
from eqssl.models.necks import SplitNeck
from eqssl.models.pretrainer import SSLPretrainer

__all__ = [
    'IBOTHead',
    'IntermediateRecon',
    'ReconDecoder',
    'SSLPretrainer',
    'SplitNeck',
    'TokenDecoder',
    'ViewAugmenter',
    'VisionTransformer',
]
