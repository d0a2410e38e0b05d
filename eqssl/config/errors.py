"""What a class raises at its arguments is the config's fault: one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from eqssl.utils.errors import UserError


def _type_in(error: BaseException) -> str:
    """The ``type`` that mmengine's registry was building when an error came."""
    name, trace = '', error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == 'build_from_cfg':
            name = f'{trace.tb_frame.f_locals.get("obj_type", "?")}: '
        trace = trace.tb_next
    return name


@contextlib.contextmanager
def config_errors(path: str) -> Iterator[None]:
    """Building from a config: whatever a class raises at its arguments becomes a UserError that names the config."""
    try:
        yield
    except (TypeError, KeyError, ValueError, AttributeError, AssertionError, IndexError, NotImplementedError) as error:
        reason = _type_in(error) + ' '.join(str(error).split())[:300]
        raise UserError(f"config '{path}' does not build: {reason} (--debug shows where)") from error
