"""Optimizer wrapper and parameter groups."""

from eqssl.engine.optimizers.constructor import OptimWrapperConstructor
from eqssl.engine.optimizers.optim_wrapper import OptimWrapper

__all__ = ['OptimWrapper', 'OptimWrapperConstructor']
