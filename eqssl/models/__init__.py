"""Models: one algorithm class; backbones, necks, heads, decoders, losses and auxiliary tasks to put into it."""

from eqssl.augment.augmenter import ViewAugmenter
from eqssl.models.auxiliary import IntermediateRecon
from eqssl.models.backbones import VisionTransformer
from eqssl.models.decoders import ReconDecoder, TokenDecoder
from eqssl.models.heads import (
    BarlowTwinsHead,
    BYOLHead,
    DINOHead,
    DINOv2Head,
    IBOTHead,
    MoCoV3Head,
    RotNetHead,
    SimCLRHead,
    SimSiamHead,
    SupConHead,
    SupervisedHead,
    SwAVHead,
    VICRegHead,
)
from eqssl.models.necks import SplitNeck
from eqssl.models.pretrainer import SSLPretrainer

__all__ = [
    'BYOLHead',
    'BarlowTwinsHead',
    'DINOHead',
    'DINOv2Head',
    'IBOTHead',
    'IntermediateRecon',
    'MoCoV3Head',
    'ReconDecoder',
    'RotNetHead',
    'SSLPretrainer',
    'SimCLRHead',
    'SimSiamHead',
    'SplitNeck',
    'SupConHead',
    'SupervisedHead',
    'SwAVHead',
    'TokenDecoder',
    'VICRegHead',
    'ViewAugmenter',
    'VisionTransformer',
]
