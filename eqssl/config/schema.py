"""Refuses unknown config keys and types at any level before anything is built, with "did you mean"."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mmengine.registry import Registry
from mmengine.registry import root as root_registries

from eqssl import registry as own
from eqssl.utils.errors import UserError, did_you_mean

RUNNER_KEYS = {
    'model', 'work_dir', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'default_hooks',
    'custom_hooks', 'load_from', 'resume', 'launcher', 'env_cfg', 'log_level', 'visualizer', 'default_scope',
    'randomness', 'experiment_name', 'runner_type', 'model_wrapper_cfg', 'custom_imports', 'auto_scale_lr', 'sync_bn',
    'compile', 'activation_checkpointing', 'data_root', 'evaluation', 'checkpoint', 'vis_backends', 'filename', 'text',
    'env_variables', 'resume_file',
}  # fmt: skip
DOWNSTREAM_KEYS = {
    'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator', 'val_cfg', 'test_cfg',
    'log_processor', 'data_preprocessor', 'find_unused_parameters',
}  # fmt: skip
RANDOMNESS_KEYS = {'seed', 'deterministic', 'diff_rank_seed'}
ENV_KEYS = {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}
HOOK_SLOTS = {
    'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint', 'teacher', 'unreadable',
    'signals', 'evaluation',
}  # fmt: skip
LOADER_KEYS = {
    'dataset', 'batch_size', 'num_workers', 'sampler', 'collate_fn', 'pin_memory', 'persistent_workers',
    'prefetch_factor', 'drop_last', 'timeout', 'multiprocessing_context', 'worker_init_fn', 'batch_sampler',
}  # fmt: skip
# Arguments that the Runner or a wrapper fills in, and keys that belong to the container of a config.
FILLED_IN = {'optimizer': {'fused'}, 'optim_wrapper': {'constructor', 'paramwise_cfg', 'optimizer', 'type'}}


def _registries(module: Any) -> list[Registry]:
    return [value for value in vars(module).values() if isinstance(value, Registry)]


def known_types() -> list[str]:
    """All registered names, as a config writes them."""
    names = {f'eqssl.{name}' for registry in _registries(own) for name in registry.module_dict}
    return sorted(names | {name for registry in _registries(root_registries) for name in registry.module_dict})


def resolve(name: object, where: str) -> Any:
    """The class behind a config's ``type``.

    Raises:
        UserError: no registry knows it.
    """
    if not isinstance(name, str):
        return name
    scope, _, short = name.rpartition('.')
    known = [r for r in _registries(own) if r.scope == 'eqssl'] if scope == 'eqssl' else _registries(root_registries)
    for registry in known:
        if short in registry.module_dict and scope in ('', 'eqssl'):
            return registry.module_dict[short]
    if scope != 'eqssl':  # other packages' registries, which are imported when asked
        for registry in known:
            found = registry.get(name)
            if found is not None:
                return found
    raise UserError(f"{where}.type='{name}' is not a registered type{did_you_mean(name, known_types())}")


def accepted_keys(target: Callable) -> set[str] | None:
    """Keyword arguments of a class or function, through ``**kwargs`` up the class hierarchy; None if anything goes."""
    classes = inspect.getmro(target) if inspect.isclass(target) else [target]
    keys: set[str] = set()
    for cls in classes:
        function = cls.__dict__.get('__init__') if inspect.isclass(cls) else cls
        if function is None or not callable(function):
            continue
        try:
            parameters = inspect.signature(function).parameters.values()
        except (ValueError, TypeError):
            return None
        kinds = {p.kind for p in parameters}
        keys |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            return keys - {'self'}
    return keys - {'self'}


def _refuse_unknown(keys: Iterable[str], known: set[str], where: str) -> None:
    for key in keys:
        if key not in known:
            path = f'{where}.{key}' if where else key
            raise UserError(f"config key '{path}' is unknown{did_you_mean(key, known)}")


def _check_typed(value: dict, where: str) -> None:
    """A dict with ``type``: the type exists and takes every other key."""
    target = resolve(value['type'], where)
    known = accepted_keys(target)
    if known is None:
        return
    last = where.split('.')[-1]
    extra = FILLED_IN.get(last, set()) | ({'weight'} if '.auxiliary.' in where else set())
    _refuse_unknown([k for k in value if k != 'type'], known | extra | {'type', '_scope_'}, where)
    for key, item in getattr(target, 'config_items', {}).items():
        for number, part in enumerate(value.get(key) or []):
            _refuse_unknown(part, set(item.__dataclass_fields__), f'{where}.{key}[{number}]')


def _check(value: object, where: str) -> None:
    if isinstance(value, dict):
        if 'type' in value:
            _check_typed(value, where)
        for key, item in value.items():
            _check(item, f'{where}.{key}')
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            _check(item, f'{where}[{number}]')


def refuse_repeated_keys(path: Path) -> None:
    """A key that a dict literal names twice (two tasks of one name): Python would keep the last in silence.

    Raises:
        UserError: names file, line and key; the bases of the config are read too.
    """
    tree = ast.parse(path.read_text(encoding='utf-8'))
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            names = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            for name in names:
                if names.count(name) > 1:
                    raise UserError(f"config '{path}', line {node.lineno}: key {name!r} stands twice in one dict")
        if isinstance(node, ast.Assign) and [getattr(t, 'id', '') for t in node.targets] == ['_base_']:
            constants = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
            for base in constants:
                if isinstance(base, str) and '::' not in base:
                    refuse_repeated_keys(path.parent / base)


def check_keys(cfg: dict) -> None:
    """Check a whole config.

    Raises:
        UserError: names the first unknown key or type with its path.
    """
    _refuse_unknown([k for k in cfg if not k.startswith('_')], RUNNER_KEYS, '')
    for section, known in (
        ('randomness', RANDOMNESS_KEYS),
        ('env_cfg', ENV_KEYS),
        ('default_hooks', HOOK_SLOTS),
        ('train_dataloader', LOADER_KEYS),
    ):
        _refuse_unknown(cfg.get(section) or {}, known, section)
    for section in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        if cfg.get(section) is None:
            raise UserError(f"config key '{section}' is missing")
    for name, task in (cfg['model'].get('auxiliary') or {}).items():
        if task is not None and not (isinstance(task, dict) and 'type' in task):
            raise UserError(f"config key 'model.auxiliary.{name}' must be a dict with a type")
    for key, value in cfg.items():
        if not key.startswith('_'):
            _check(value, key)
