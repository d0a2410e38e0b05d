"""Check the installation and say what mends it: ``python tools/check_env.py [--quiet] [--json FILE]``."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path


def load_check() -> object:
    """The check's module by its file: the package itself may not import in a broken environment."""
    path = Path(__file__).resolve().parents[1] / 'eqssl' / 'install' / 'environment.py'
    spec = importlib.util.spec_from_file_location('eqssl_env_check', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> int:
    """Print the findings; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description='Check the installation.')
    parser.add_argument('--quiet', action='store_true', help='print errors only')
    parser.add_argument('--json', metavar='FILE')
    args = parser.parse_args()
    findings = load_check().check_environment()  # type: ignore[attr-defined]
    for finding in findings:
        if finding.level == 'error' or not args.quiet:
            print(f'{finding.level:5}  {finding.what}' + (f'\n       mend: {finding.mend}' if finding.mend else ''))
    if args.json:
        Path(args.json).write_text(json.dumps([asdict(f) for f in findings], indent=2) + '\n')
    bad = any(f.level == 'error' for f in findings)
    if not args.quiet or bad:
        print('the environment has errors' if bad else 'the environment is fine')
    return int(bad)


if __name__ == '__main__':
    sys.exit(main())
