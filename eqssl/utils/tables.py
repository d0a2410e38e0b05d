"""One way to show a result: a table on the screen, the same as JSON in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eqssl.utils.errors import UserError


def format_cell(value: object) -> str:
    """Numbers with four digits that matter, None as a dash, anything else as it is."""
    if value is None:
        return '-'
    if isinstance(value, float):
        return f'{value:.4g}' if abs(value) >= 1000 else f'{value:.4f}'.rstrip('0').rstrip('.')
    return str(value)


def format_table(rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> str:
    """A plain-text table, one line a row; columns are the keys in order of first appearance."""
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [list(columns)] + [[format_cell(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = ['  '.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, '  '.join('-' * w for w in widths))
    return '\n'.join(lines)


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write JSON through a temporary file, so that a reader never sees half of it.

    Raises:
        UserError: it cannot be written there.
    """
    target, text = Path(path), json.dumps(value, indent=2) + '\n'
    temporary = target.with_name(target.name + '.tmp')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding='utf-8')
        os.replace(temporary, target)
    except OSError as error:
        if temporary.is_file():
            temporary.unlink()
        raise UserError(f"'{path}' cannot be written ({error.strerror})") from error
