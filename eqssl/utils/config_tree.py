"""Walks a config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def dicts(node: Any) -> Iterator[dict]:
    """Every dict of a config, the outer ones first."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from dicts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from dicts(value)
