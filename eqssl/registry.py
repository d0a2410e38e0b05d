"""Registries under mmengine's root, scope ``eqssl``.

Children of the root (not of mmpretrain's) are the only layout whose ``eqssl.X`` names resolve in pre-training configs
and inside mmseg and mmdet alike; mmengine imports this module by itself when it meets the scope.
"""

from collections.abc import Callable
from pathlib import Path

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
)
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as MMENGINE_OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import Registry


def _child(name: str, parent: Registry, *locations: str) -> Registry:
    return Registry(name, parent=parent, scope='eqssl', locations=list(locations))


RUNNERS = _child('runner', MMENGINE_RUNNERS, 'eqssl.engine')
LOOPS = _child('loop', MMENGINE_LOOPS, 'eqssl.engine')
HOOKS = _child('hook', MMENGINE_HOOKS, 'eqssl.engine', 'eqssl.evaluation')
OPTIM_WRAPPERS = _child('optim_wrapper', MMENGINE_OPTIM_WRAPPERS, 'eqssl.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS, 'eqssl.engine'
)
OPTIMIZERS = _child('optimizer', MMENGINE_OPTIMIZERS, 'eqssl.engine')
PARAM_SCHEDULERS = _child('parameter scheduler', MMENGINE_PARAM_SCHEDULERS, 'eqssl.engine')
DATASETS = _child('dataset', MMENGINE_DATASETS, 'eqssl.datasets')
DATA_SAMPLERS = _child('data sampler', MMENGINE_DATA_SAMPLERS, 'eqssl.datasets')
TRANSFORMS = _child('transform', MMENGINE_TRANSFORMS, 'eqssl.augment')
FUNCTIONS = _child('function', MMENGINE_FUNCTIONS, 'eqssl.datasets')
MODELS = _child('model', MMENGINE_MODELS, 'eqssl.models', 'eqssl.downstream')
EVALUATION_TASKS = _child('evaluation task', MMENGINE_TASK_UTILS, 'eqssl.evaluation')
WEIGHT_INITIALIZERS = _child('weight initializer', MMENGINE_WEIGHT_INITIALIZERS, 'eqssl.downstream')

NAMED_DATA: dict[str, Callable[[], Path]] = {}  # what `data_root` may be called instead of a path: name -> its place
