"""The config inside a checkpoint, read as data."""

from __future__ import annotations

import ast
from typing import Any

from eqssl.utils.errors import UserError


def _value(node: ast.expr) -> Any:
    """Literals and ``dict(...)`` with keywords, the only two things that mmengine writes."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {ast.literal_eval(k): _value(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    return ast.literal_eval(node)


def read_config_text(text: str) -> dict[str, Any]:
    """The variables of a config as mmengine prints it (``Config.pretty_text``); nothing is executed.

    Raises:
        UserError: the text holds anything but literals and ``dict(...)``.
    """
    found = {}
    try:
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
                raise ValueError('not an assignment')
            found[statement.targets[0].id] = _value(statement.value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(
            f'the config inside the checkpoint is not plain data ({error}); files with code are refused'
        ) from error
    return found
