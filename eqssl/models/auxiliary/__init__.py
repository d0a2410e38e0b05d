"""Auxiliary tasks: one file and one config line each."""

from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo, Step
from eqssl.models.auxiliary.intermediate_recon import IntermediateRecon

__all__ = ['AuxiliaryTask', 'IntermediateRecon', 'ModelInfo', 'Step']
