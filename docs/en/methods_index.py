"""Writes methods.md: base methods and auxiliary tasks with paper, file, configs and tests, from the registry."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {'heads': 'Base methods', 'auxiliary': 'Auxiliary tasks'}
HEAD = """# Methods

Each is one file and one config line. *Proved by* names the tests that mention it: losses against float64 loops and
values by hand, two ranks against one, official codes' order of work. Every config is trained for two iterations in
`tests/integration/test_configs.py`.
"""


def mentions(word: str, folder: str) -> list[str]:
    """Files of a folder, private ones aside, that name a word."""
    files = [p for p in sorted((ROOT / folder).rglob('*.py')) if '__pycache__' not in p.parts]
    return [str(p.relative_to(ROOT / folder)) for p in files if word in p.read_text(encoding='utf-8')]


@functools.cache
def config_texts() -> dict[str, str]:
    """Name of a pre-training config -> its resolved text."""
    from mmengine.config import Config

    paths = [p for p in sorted((ROOT / 'configs').rglob('*.py')) if not {'_base_', 'downstream'} & set(p.parts)]
    names = (str(path.relative_to(ROOT / 'configs').with_suffix('')) for path in paths)
    return {name: str(Config.fromfile(str(path)).to_dict()) for name, path in zip(names, paths, strict=True)}


def configs_of(name: str) -> list[str]:
    """Configs whose resolved text names a type."""
    return [f'`{config}`' for config, text in config_texts().items() if f"'eqssl.{name}'" in text]


def row(name: str, target: Any) -> str:
    """A line of the table."""
    file = Path(inspect.getfile(target)).relative_to(ROOT)
    paper = (inspect.getmodule(target).__doc__ or '').strip().split('\n')[0].rstrip('.')  # type: ignore[union-attr]
    configs = configs_of(name)
    shown = ', '.join(configs[:3]) + (f' and {len(configs) - 3} more' if len(configs) > 3 else '')
    tests = ', '.join(f'`{t}`' for t in mentions(name, 'tests')[:4])
    return f'| `{name}` | {paper} | `{file}` | {shown or "-"} | {tests or "-"} |'


def write(target: Path) -> None:
    """Write the page."""
    sys.path.insert(0, str(ROOT))
    from eqssl.apps.open_config import fill_registries
    from eqssl.registry import MODELS

    fill_registries()
    text = HEAD
    for room, title in ROOMS.items():
        known = [(n, c) for n, c in sorted(MODELS.module_dict.items()) if f'eqssl.models.{room}.' in c.__module__]
        text += f'\n## {title}\n| name | what | file | configs | proved by |\n| --- | --- | --- | --- | --- |\n'
        text += '\n'.join(row(name, cls) for name, cls in known) + '\n'
    target.write_text(text, encoding='utf-8')
