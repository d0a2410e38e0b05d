"""Writes api.md and api/<room>.md: every public module of the package, one page a folder."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {'cli'}
HEAD = """# API

Every public module, a page for each folder of the package. [Extend](user_guides/extend.md) shows how they are used,
[Design](design.md) says why they are so; commands say it themselves (`eqssl --help`).

| page | what is in it |
| --- | --- |
"""
TOC = '\n```{{toctree}}\n:hidden:\n\n{}\n```\n'
MODULE = """
## {heading}

```{{eval-rst}}
.. automodule:: {module}
   :members:
   :ignore-module-all:
   :member-order: bysource
   :show-inheritance:
```
"""


def is_public(path: Path) -> bool:
    """Whether no part of a path below the package is private or left out."""
    parts = path.with_suffix('').parts
    return parts[0] not in LEFT_OUT and not any(part.startswith('_') for part in parts)


def rooms() -> dict[str, list[str]]:
    """Folder of the package -> its public modules, by their full names; the package itself is a folder too."""
    found: dict[str, list[str]] = {}
    for path in sorted(path.relative_to(ROOT / 'eqssl') for path in (ROOT / 'eqssl').rglob('*.py')):
        if is_public(path):
            room = '.'.join(('eqssl', *path.parent.parts))
            found.setdefault(room, []).append(f'{room}.{path.stem}')
    return dict(sorted(found.items()))


def introduction(room: str) -> str:
    """The docstring of a folder."""
    file = ROOT.joinpath(*room.split('.'), '__init__.py')
    return ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) or ''


def page(room: str, modules: list[str]) -> str:
    """A folder's page: what the folder says of itself, then each module."""
    head = f'# {room}\n\n```{{eval-rst}}\n{introduction(room)}\n```\n'
    return head + ''.join(MODULE.format(heading=name.rpartition('.')[2], module=name) for name in modules)


def write(folder: Path) -> None:
    """Write the pages; those of folders that are gone are removed."""
    (folder / 'api').mkdir(exist_ok=True)
    pages = {f'api/{room}.md': page(room, modules) for room, modules in rooms().items()}
    rows = (f'| [{room}](api/{room}.md) | {introduction(room).splitlines()[0]} |\n' for room in rooms())
    entries = '\n'.join(f'{room} <api/{room}>' for room in rooms())
    pages['api.md'] = HEAD + ''.join(rows).replace('``', '`').replace(':mod:', '') + TOC.format(entries)
    for path in (folder / 'api').glob('*.md'):
        if f'api/{path.name}' not in pages:
            path.unlink()
    for name, text in pages.items():
        if not (folder / name).is_file() or (folder / name).read_text(encoding='utf-8') != text:
            (folder / name).write_text(text, encoding='utf-8')
