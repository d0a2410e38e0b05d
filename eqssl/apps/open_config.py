"""A config's way in: read, its library loaded, checked, completed."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings

from mmengine.config import Config
from mmengine.registry import init_default_scope

import eqssl.datasets.named
import eqssl.downstream.nuclei  # noqa: F401  (what data_root may be called)
from eqssl.config.options import Options
from eqssl.config.pretraining import complete_pretraining
from eqssl.config.reader import read_config
from eqssl.config.schema import check_keys
from eqssl.install.environment import LIBRARIES
from eqssl.utils.errors import UserError


def open_config(path: str, options: Options | None = None) -> Config:
    """Read, check and complete a pre-training config; the only way in for every tool."""
    return prepare(read_config(path, options))


def prepare(cfg: Config) -> Config:
    """Check and complete a pre-training config that was read."""
    fill_registries(cfg.get('default_scope', 'mmpretrain'))
    check_keys(cfg._cfg_dict)
    complete_pretraining(cfg)
    return cfg


def fill_registries(scope: str = 'mmpretrain') -> None:
    """Import whatever a pre-training config may name."""
    init_default_scope(scope)
    with contextlib.redirect_stdout(io.StringIO()):  # mmpretrain prints which optional packages it lacks
        importlib.import_module('mmpretrain.datasets')
    import eqssl.augment
    import eqssl.datasets
    import eqssl.downstream.pretrained
    import eqssl.engine
    import eqssl.evaluation
    import eqssl.models  # noqa: F401


def load_library(scope: str) -> None:
    """Import a library and fill its registries.

    Raises:
        UserError: it, or the compiled ops that it needs, is not installed.
    """
    if scope not in LIBRARIES:
        raise UserError(f"default_scope='{scope}' is none of {', '.join(LIBRARIES)}")
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            # the libraries tell which optional packages they lack
            warnings.filterwarnings('ignore', message='faster_coco_eval is not installed')
            importlib.import_module(f'{scope}.models')
            importlib.import_module(f'{scope}.utils').register_all_modules(init_default_scope=True)
    except ImportError as error:
        package, install = LIBRARIES[scope]
        what = 'mmcv with compiled ops' if 'mmcv._ext' in str(error) else package
        raise UserError(f"default_scope='{scope}' needs {what} ({error}); {install}") from error
