"""Errors of the user's making: one clear line, exit code 2, no traceback unless ``--debug``."""

from __future__ import annotations

import contextlib
import difflib
import errno
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator

_ROOTS = ('model.', 'train_dataloader.', 'optim_wrapper.', 'evaluation.', 'data_root')  # whole keys
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """Something that the user can mend; the message names the config key or file and the way out."""


@contextlib.contextmanager
def at_key(key: str) -> Iterator[None]:
    """Puts the config key in front of what a part refuses: parts know their own arguments, builders where they stand.

    ``temperature=0 must be positive`` becomes ``model.head.temperature=0 must be positive`` for the key ``model.head``;
    any other sentence follows a colon, and one that begins with a whole key of its own stays.
    """
    try:
        yield
    except UserError as error:
        text = str(error)
        if text.startswith(_ROOTS):
            raise
        joint = '.' if re.match(r'[a-z_][\w.\[\]]*(=|: )', text) else ': '
        raise UserError(f'{key}{joint}{text}') from error


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, [str(k) for k in known], n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ''


def run_cli(main: Callable[[], int | None]) -> None:
    """Run a tool's ``main``; a UserError, or a full disk, becomes one line on stderr and exit code 2."""
    debug = '--debug' in sys.argv
    for stream in (sys.stdout, sys.stderr):  # names of files may be no UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    try:
        code = main()
    except (UserError, OSError) as error:
        full = isinstance(error, OSError) and error.errno in _FULL
        if debug or not (full or isinstance(error, UserError)):
            raise
        line = ' '.join(str(error).split()) + ('; make room and start again (--resume)' if full else '')
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        print(f'error: {line}', file=sys.stderr, flush=True)
        sys.exit(2)
    sys.exit(code or 0)
