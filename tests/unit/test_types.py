"""Contracts are written down: what a parameter may be is said, not ``Any``."""

from __future__ import annotations

import ast

from tests.conftest import ROOT


def test_any_is_rare_among_parameters():
    total, loose = 0, []
    for file in sorted((ROOT / 'eqssl').rglob('*.py')):
        for function in ast.walk(ast.parse(file.read_text())):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            given = function.args
            parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            annotations = [p.annotation for p in parameters if p is not None and p.annotation is not None]
            total += len(annotations)
            loose += [f'{file.name}:{function.name}' for a in annotations if isinstance(a, ast.Name) and a.id == 'Any']
    assert total > 1500 and len(loose) < 0.03 * total, (total, loose)
