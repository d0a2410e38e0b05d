"""Errors of the user's making: one clear line, exit code 2, no traceback unless ``--debug``."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """Something that the user can mend; the message names the config key or file and the way out."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, [str(k) for k in known], n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ''


def run_cli(main: Callable[[], int | None]) -> None:
    """Run a tool's ``main``; a UserError becomes one line on stderr and exit code 2."""
    debug = '--debug' in sys.argv
    try:
        code = main()
    except UserError as error:
        if debug:
            raise
        line = ' '.join(str(error).split())
        sys.stdout.flush()
        print(f'error: {line}', file=sys.stderr, flush=True)
        sys.exit(2)
    sys.exit(code or 0)
