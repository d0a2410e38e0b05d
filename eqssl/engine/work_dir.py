"""A work dir belongs to one run: never two at once, never one over another."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mmengine.logging import print_log

from eqssl import experiment
from eqssl.checkpoint.store import hash_file_of, list_checkpoints
from eqssl.utils import dist
from eqssl.utils.errors import UserError

LOCK = '.lock'
LOGS = ('log.jsonl', 'evaluation.jsonl')
SAVED = re.compile(r'^(?:iter|epoch)_(\d+)\.pth$')  # what pre-training and mmengine's Runner call checkpoints


def check_work_dir(path: str) -> None:
    """Create the work dir and write to it once, before hours of training end in a failed save."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        probe = Path(path) / f'.writable.{os.getpid()}'
        probe.write_text('')
        probe.unlink()
    except OSError as error:
        raise UserError(f"work dir '{path}' is not writable ({error.strerror}); choose one with --work-dir") from error


def traces(folder: Path) -> list[str]:
    """Files that an earlier run left in a work dir: checkpoints of either kind, and logs with a line in them."""
    logs = [log for log in LOGS if (folder / log).is_file() and (folder / log).stat().st_size > 0]
    return [path.name for path in reversed(list_checkpoints(folder, SAVED))] + logs


def refuse_used(path: str) -> None:
    """A run that begins anew needs a work dir without another one.

    Raises:
        UserError: says what is there.
    """
    found = traces(Path(path))
    if found:
        more = f' and {len(found) - 3} more' if len(found) > 3 else ''
        raise UserError(
            f"work dir '{path}' holds a run already ({', '.join(found[:3])}{more}); continue it with --resume, or "
            'choose another --work-dir'
        )


def continues(path: str, resume: bool, file: str | None) -> bool:
    """Whether a run goes on with what is in its work dir: ``--resume``, and not from a file elsewhere."""
    return resume and (file is None or Path(file).resolve().parent == Path(path).resolve())


def clear(path: Path) -> None:
    """Remove what an earlier run left, unless a process is using the work dir.

    Raises:
        UserError: one is.
    """
    check_work_dir(str(path))
    lock = WorkDirLock(str(path))
    try:
        for name in [*traces(path), experiment.FILE]:
            (path / name).unlink(missing_ok=True)
            hash_file_of(path / name).unlink(missing_ok=True)
    finally:
        lock.release()


class WorkDirLock:
    """Holds a work dir for this job as long as its first process lives; every rank calls this.

    The lock is the kernel's and belongs to the process: it ends with it, however it ends, and data workers do not
    inherit it.

    Args:
        path: the work dir.

    Raises:
        UserError: another process holds it.
    """

    def __init__(self, path: str) -> None:
        self._file: IO[str] | None = None
        dist.rank_0_decides(lambda: self._take(Path(path) / LOCK))

    def _take(self, path: Path) -> None:
        try:
            file = open(path, 'a+', encoding='utf-8', errors='replace')  # noqa: SIM115  (held as long as the lock)
        except OSError as error:
            raise UserError(f"'{path}' cannot be opened ({error.strerror}); remove it") from error
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with file:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    print_log(f'{path}: this file system has no locks ({error.strerror}); two runs can meet', 'current')
                    return
                file.seek(0)
                holder = file.read().strip() or 'another process'
            raise UserError(
                f"work dir '{path.parent}' is in use by {holder}; wait for it, or choose another --work-dir"
            ) from error
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None


@contextlib.contextmanager
def claimed(path: str, resume: bool) -> Iterator[None]:
    """A work dir that is this run's alone inside; every rank calls this.

    Args:
        path: the work dir.
        resume: continue what is in it, see :func:`continues`.

    Raises:
        UserError: another process uses it, or it holds another run.
    """
    lock = WorkDirLock(path)
    try:
        if not resume:
            dist.rank_0_decides(lambda: refuse_used(path))
        yield
    finally:
        lock.release()
