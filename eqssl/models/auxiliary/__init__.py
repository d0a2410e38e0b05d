"""Auxiliary tasks: one file and one config line each."""

from eqssl.models.auxiliary.adaptive_topk import AdaptiveTopK
from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo
from eqssl.models.auxiliary.cross_attention import CrossAttnRecon
from eqssl.models.auxiliary.intermediate_recon import IntermediateRecon
from eqssl.models.auxiliary.jigsaw import JigsawTask
from eqssl.models.auxiliary.parameter_tasks import AugSelfTask, EquiModTask
from eqssl.models.auxiliary.rotation import RotationTask
from eqssl.models.auxiliary.rotation_head import RotationHead
from eqssl.models.auxiliary.sie import SIETask
from eqssl.models.step import Step

__all__ = [
    'AdaptiveTopK',
    'AugSelfTask',
    'AuxiliaryTask',
    'CrossAttnRecon',
    'EquiModTask',
    'IntermediateRecon',
    'JigsawTask',
    'ModelInfo',
    'RotationHead',
    'RotationTask',
    'SIETask',
    'Step',
]
