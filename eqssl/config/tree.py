"""Walks a config."""

from __future__ import annotations

from collections.abc import Iterator


def dicts(node: object) -> Iterator[dict]:
    """Every dict of a config, the outer ones first."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from dicts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from dicts(value)


def placed_dicts(node: object, place: str) -> Iterator[tuple[str, dict]]:
    """As :func:`dicts`, with the dotted key of each; ``place`` is that of ``node``."""
    if isinstance(node, dict):
        yield place, node
        for key, value in list(node.items()):
            yield from placed_dicts(value, f'{place}.{key}')
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from placed_dicts(value, f'{place}[{number}]')
