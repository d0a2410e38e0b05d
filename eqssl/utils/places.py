"""Files that come with the project: configs/, demo/, tools/."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
HERE = Path('configs', '_base_', 'runtime', 'default.py')  # there, they all are there


def shipped(*parts: str) -> Path:
    """A file or folder of the checkout that the package lies in, or of the installed package (``eqssl/.mim``).

    Args:
        parts: below ``configs``, ``demo`` or ``tools``, these included: ``shipped('demo', 'photos.npz')``.
    """
    root = PACKAGE.parent if (PACKAGE.parent / HERE).is_file() else PACKAGE / '.mim'
    return root.joinpath(*parts)
