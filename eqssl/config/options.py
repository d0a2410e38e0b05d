"""``--cfg-options key=value``, read with the config in hand: a path stays what was typed."""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config, DictAction

from eqssl.config.tree import dicts
from eqssl.utils.errors import UserError

PATH_KEYS = {'checkpoint', 'load_from', 'resume_from', 'saliency', 'data_prefix', 'img', 'sub_data_root'}
PATH_ENDINGS = ('_root', '_dir', '_file', '_path', '_prefix', '_folder')
LITERALS = {'None': None, 'True': True, 'False': False}
Options = Mapping[str, Any] | Sequence[str]


def is_path(key: str) -> bool:
    """Whether a config key holds a file or folder, by its name."""
    last = key.rpartition('.')[2]
    return last in PATH_KEYS or last.endswith(PATH_ENDINGS)


def _at(node: object, key: str) -> Any:
    """The value of a config at a dotted key; None where there is none."""
    for part in key.split('.'):
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node


def _value(key: str, text: str, current: object) -> Any:
    """What a typed value is: a path or a replaced string as typed, anything else as OpenMMLab's tools read it."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in '\'"':
        return text[1:-1]
    if text == 'None':
        return None
    bracketed = text[:1] in ('[', '(')
    listed = bracketed and isinstance(current, (list, tuple))
    if is_path(key) and not isinstance(current, dict) and not listed:
        if not text:
            raise ValueError('a path is empty')
        return text
    if isinstance(current, str) and text not in LITERALS and not bracketed:
        return text
    if bracketed:
        with contextlib.suppress(ValueError, SyntaxError):  # OpenMMLab's reading drops spaces inside quotes
            return ast.literal_eval(text)
    return DictAction._parse_iterable(text)


def parse_options(options: Options, cfg: Config) -> dict[str, Any]:
    """Options by key, for ``Config.merge_from_dict``.

    Args:
        options: ``['a.b=1', 'data_root=/my images']`` as typed, or a dict of values.
        cfg: the config that they change.

    Raises:
        UserError: one that is not of the form key=value.
    """
    if isinstance(options, Mapping):
        return dict(options)
    found = {}
    for option in options:
        key, equals, text = option.partition('=')
        if not equals or not key:
            raise UserError(
                f"--cfg-options: '{option}' is not of the form key=value (a path with a space needs quotes: "
                "--cfg-options 'data_root=/my images')"
            )
        try:
            found[key] = _value(key, text, _at(cfg._cfg_dict, key))
        except (AssertionError, ValueError, SyntaxError) as error:
            raise UserError(f"--cfg-options: the value of '{option}' cannot be read ({error})") from error
    return found


def expand_home(cfg: Config) -> None:
    """``~`` at the beginning of every path of a config becomes the home folder."""
    for node in dicts(cfg._cfg_dict):
        for key, value in node.items():
            if isinstance(value, str) and value.startswith('~') and is_path(key):
                node[key] = os.path.expanduser(value)  # noqa: PTH111
