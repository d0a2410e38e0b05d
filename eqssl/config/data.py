"""Where a config's images are."""

from __future__ import annotations

from pathlib import Path

from eqssl.config.tree import dicts
from eqssl.registry import NAMED_DATA


def sources(config: object) -> list[dict]:
    """All configs of image sources in a config."""
    return [node for node in dicts(config) if node.get('type') in ('eqssl.ImageFolder', 'eqssl.ArrayImages')]


def named_data(root: str) -> str:
    """The place of a set known by name ('photos', 'cifar10', ...; made or fetched once); any other root is itself."""
    if Path(root).exists() or root not in NAMED_DATA:
        return root
    return str(NAMED_DATA[root]())
