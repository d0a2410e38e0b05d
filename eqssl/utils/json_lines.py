"""Files with one JSON object a line: the log and the evaluations of a run."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from pathlib import Path
from typing import Any


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a file, up to a torn or foreign one (the run was killed, or is writing); none without a file."""
    lines = []
    for text in file.read_text(encoding='utf-8', errors='replace').splitlines() if file.is_file() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            break
        if not isinstance(line, dict):
            break
        lines.append(line)
    return lines


def append_line(file: Path, line: dict[str, Any]) -> None:
    """Add a line, the whole of it or nothing."""
    size = file.stat().st_size if file.is_file() else 0
    try:
        with open(file, 'a', encoding='utf-8') as stream:
            stream.write(json.dumps(line) + '\n')
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(file, size)
        raise


def keep_until(file: Path, iteration: int) -> None:
    """Keep the lines up to an iteration (``iter``); from a torn or foreign one on, everything goes."""
    if not file.is_file():
        return
    kept = itertools.takewhile(lambda line: line.get('iter', iteration + 1) <= iteration, read_lines(file))
    temporary = file.with_name(file.name + '.tmp')
    temporary.write_text(''.join(f'{json.dumps(line)}\n' for line in kept), encoding='utf-8')
    temporary.replace(file)
