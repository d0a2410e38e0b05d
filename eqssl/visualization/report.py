"""One self-contained HTML file: tables and pictures inside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eqssl.utils.tables import format_cell

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1040px; margin: 2em auto; padding: 0 1em; color: #1a202c; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #e2e8f0; }
table { border-collapse: collapse; margin: 1em 0; } td, th { padding: .35em .8em; text-align: right; }
th { border-bottom: 2px solid #4a5568; font-weight: 600; } td:first-child, th:first-child { text-align: left; }
tr:last-child td { font-weight: 600; background: #ebf8ff; } img { max-width: 100%; } figcaption { color: #4a5568; }
.rows { display: grid; grid-template-columns: 13em 1fr; align-items: center; } .rows img { display: block; }
code { background: #edf2f7; padding: .1em .3em; } .note { color: #4a5568; }
"""


def _image(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'PNG', optimize=True)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


class Report:
    """Sections in order; :meth:`write` gives the file."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts: list[str] = []

    def heading(self, text: str) -> None:
        """A section."""
        self.parts.append(f'<h2>{html.escape(text)}</h2>')

    def text(self, text: str) -> None:
        """A paragraph."""
        self.parts.append(f'<p>{html.escape(text)}</p>')

    def table(self, rows: Sequence[dict[str, Any]]) -> None:
        """A table; the last row is emphasized."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        head = ''.join(f'<th>{html.escape(str(c))}</th>' for c in columns)
        body = ''.join(
            '<tr>' + ''.join(f'<td>{html.escape(format_cell(row.get(c)))}</td>' for c in columns) + '</tr>'
            for row in rows
        )
        self.parts.append(f'<table><tr>{head}</tr>{body}</table>')

    def picture(self, pixels: np.ndarray, caption: str = '') -> None:
        """One picture, ``[H, W, 3]`` uint8."""
        self.parts.append(f'<figure>{_image(pixels)}<figcaption>{html.escape(caption)}</figcaption></figure>')

    def rows(self, captions: Sequence[str], pictures: Sequence[np.ndarray]) -> None:
        """Pictures below each other, each with its caption on the left."""
        cells = ''.join(f'<div>{html.escape(c)}</div>{_image(p)}' for c, p in zip(captions, pictures, strict=True))
        self.parts.append(f'<div class="rows">{cells}</div>')

    def write(self, path: str | Path) -> Path:
        """Write the file and return its path."""
        title = html.escape(self.title)
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
            f'<body><h1>{title}</h1>{"".join(self.parts)}</body></html>\n'
        )
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding='utf-8')
        return target
