"""A config file with command-line options merged in."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from eqssl.config.options import Options, expand_home, parse_options
from eqssl.config.schema import DOWNSTREAM_KEYS, RUNNER_KEYS, refuse_repeated_keys
from eqssl.install.environment import LIBRARIES
from eqssl.utils.errors import UserError, did_you_mean
from eqssl.utils.places import shipped

MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def find_config(name: str) -> Path:
    """A config file by its path, or by the name of one that comes with eqssl ('ibot_recon_vits', 'demo/ibot_photos').

    Raises:
        UserError: there is none, or there are several.
    """
    if Path(name).is_file():
        return Path(name)
    if not Path(name).name:
        raise UserError(f"config '{name}' is no file")
    if Path(name).suffix not in ('', '.py'):
        raise UserError(
            f"config '{name}' is not a .py file" if Path(name).exists() else f"config '{name}' does not exist"
        )
    root, wanted = shipped('configs'), Path(name).with_suffix('.py').parts
    known = [p.relative_to(root) for p in sorted(root.rglob('*.py')) if '_base_' not in p.parts]
    found = [path for path in known if path.parts[-len(wanted) :] == wanted]
    if len(found) == 1:
        return root / found[0]
    if found:
        raise UserError(f"config '{name}' may be {' or '.join(str(p.with_suffix('')) for p in found)}; say which")
    near = did_you_mean(Path(name).stem, {path.stem for path in known})
    raise UserError(f"config '{name}' does not exist{near}; give a file, or the name of one in configs/")


def read_config(path: str, options: Options | None = None) -> Config:
    """A config file with command-line options merged in.

    Only ``.py`` files are read; a config is code, like any script.

    Args:
        path: the file, or its name, see :func:`find_config`.
        options: ``key=value`` strings as typed, or a dict of values.

    Raises:
        UserError: no such file, an error inside it, or an option that does not fit.
    """
    file = find_config(path)
    if file.suffix != '.py':
        raise UserError(f"config '{path}' is not a .py file")
    try:
        cfg = Config.fromfile(str(file))
        refuse_repeated_keys(file)
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
    evaluation = (cfg.get('default_hooks') or {}).get('evaluation')
    if isinstance(evaluation, dict):  # a key of it alone says that it is wished
        evaluation.setdefault('type', 'eqssl.EvaluationHook')
    drop_deletes(cfg._cfg_dict)
    expand_home(cfg)
    return cfg


def drop_deletes(value: object) -> None:
    """Take out every ``_delete_`` whose base had nothing to delete; mmengine leaves it in."""
    if isinstance(value, dict):
        value.pop('_delete_', None)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        drop_deletes(each)


def drop_hooks(cfg: Config) -> None:
    """Take out hooks that are None, which switches them off; mmengine does so for its own, and asserts for others."""
    for name, hook in list((cfg.get('default_hooks') or {}).items()):
        if hook is None and name not in MMENGINE_HOOKS:
            del cfg.default_hooks[name]
