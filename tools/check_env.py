"""Check the installation and say what mends it: ``python tools/check_env.py [--quiet] [--json FILE]``."""

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load_check() -> ModuleType:
    """The check's module by its file: the package itself may not import in a broken environment."""
    root = Path(__file__).resolve().parents[1]  # a checkout, or eqssl/.mim of an installed package
    path = (root.parent if root.name == '.mim' else root / 'eqssl') / 'install' / 'environment.py'
    spec = importlib.util.spec_from_file_location('eqssl_env_check', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Check the installation.')
    parser.add_argument('--quiet', action='store_true', help='print errors only')
    parser.add_argument('--json', metavar='FILE')
    args = parser.parse_args()
    sys.exit(load_check().report(args.quiet, args.json))
