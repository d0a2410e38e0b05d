"""Optimizer wrapper, parameter groups, LARS."""

from eqssl.engine.optimizers.constructor import OptimWrapperConstructor
from eqssl.engine.optimizers.lars import LARS
from eqssl.engine.optimizers.optim_wrapper import OptimWrapper

__all__ = ['LARS', 'OptimWrapper', 'OptimWrapperConstructor']
