"""A config file with command-line options merged in."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from eqssl.config.options import Options, expand_home, parse_options
from eqssl.config.schema import DOWNSTREAM_KEYS, RUNNER_KEYS, refuse_repeated_keys
from eqssl.install.environment import LIBRARIES
from eqssl.utils.errors import UserError, did_you_mean

MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def read_config(path: str, options: Options | None = None) -> Config:
    """A config file with command-line options merged in.

    Only ``.py`` files are read; a config is code, like any script.

    Args:
        path: the file.
        options: ``key=value`` strings as typed, or a dict of values.

    Raises:
        UserError: no such file, an error inside it, or an option that does not fit.
    """
    if not Path(path).is_file():
        raise UserError(f"config '{path}' does not exist")
    if Path(path).suffix != '.py':
        raise UserError(f"config '{path}' is not a .py file")
    try:
        cfg = Config.fromfile(path)
        refuse_repeated_keys(Path(path))
    except UserError:
        raise
    except ModuleNotFoundError as error:
        package, install = LIBRARIES.get(str(error).split()[0], (str(error), 'install it'))  # of a base 'mmdet::...'
        raise UserError(f"config '{path}' needs {package}; {install}") from error
    except Exception as error:  # whatever a config file raises is the config's fault
        raise UserError(f"config '{path}' cannot be read: {type(error).__name__}: {error}") from error
    drop_hooks(cfg)  # before options, which may set one of them
    known = RUNNER_KEYS | DOWNSTREAM_KEYS | set(cfg)
    values = parse_options(options or {}, cfg)
    for key in values:
        if key.split('.')[0] not in known:
            raise UserError(f"config key '{key}' is unknown{did_you_mean(key.split('.')[0], known)}")
    try:
        cfg.merge_from_dict(values)
    except (KeyError, TypeError, AssertionError, IndexError, ValueError) as error:
        raise UserError(f'--cfg-options does not fit the config: {error}') from error
    drop_hooks(cfg)
    expand_home(cfg)
    return cfg


def drop_hooks(cfg: Config) -> None:
    """Take out hooks that are None, which switches them off; mmengine does so for its own, and asserts for others."""
    for name, hook in list((cfg.get('default_hooks') or {}).items()):
        if hook is None and name not in MMENGINE_HOOKS:
            del cfg.default_hooks[name]
