"""Heads: a base SSL method each."""

from eqssl.models.heads.base import BaseHead, DataSpec, TwoViewHead
from eqssl.models.heads.byol import BYOLHead, SimSiamHead
from eqssl.models.heads.contrastive import MoCoV3Head, SimCLRHead, SupConHead
from eqssl.models.heads.dino import DINOHead
from eqssl.models.heads.dinov2 import DINOv2Head
from eqssl.models.heads.ibot import IBOTHead
from eqssl.models.heads.redundancy import BarlowTwinsHead, VICRegHead
from eqssl.models.heads.rotnet import RotNetHead
from eqssl.models.heads.supervised import SupervisedHead
from eqssl.models.heads.swav import SwAVHead

__all__ = [
    'BYOLHead',
    'BarlowTwinsHead',
    'BaseHead',
    'DINOHead',
    'DINOv2Head',
    'DataSpec',
    'IBOTHead',
    'MoCoV3Head',
    'RotNetHead',
    'SimCLRHead',
    'SimSiamHead',
    'SupConHead',
    'SupervisedHead',
    'SwAVHead',
    'TwoViewHead',
    'VICRegHead',
]
