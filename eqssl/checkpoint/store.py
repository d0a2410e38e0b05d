"""The one writer and reader of checkpoints: atomic, checksummed, found by scanning, nothing executed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eqssl.utils.errors import UserError

NAME = re.compile(r'^iter_(\d+)\.pth$')
# What others write beside the tensors is left out where their files are read: mmengine's Runner the averages of its
# log, DINO, iBOT and MAE their command line. Numbers and arrays of numpy are data.
LEFT_OUT = (
    'builtins.getattr', '__builtin__.getattr', 'mmengine.logging.history_buffer.HistoryBuffer', 'argparse.Namespace',
    'pathlib.PosixPath', 'pathlib._local.PosixPath',
)  # fmt: skip
_MADE_BY = {'_reconstruct': np.empty(0).__reduce__()[0], 'scalar': np.float64(0).__reduce__()[0]}
NUMPY: list[Any] = [
    np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in '?bhilqBHILQefdFDOSUV'},
    *((made_by, f'numpy.{core}.multiarray.{name}') for name, made_by in _MADE_BY.items() for core in ('core', '_core')),
]  # fmt: skip
# Whatever torch.load and pickle meet in a file that was cut or overwritten.
DAMAGED = (
    RuntimeError, EOFError, ValueError, KeyError, OSError, zipfile.BadZipFile, struct.error, IndexError, TypeError,
    AssertionError, AttributeError,
)  # fmt: skip


class LeftOut:
    """Stands where a file names something of ``LEFT_OUT``; takes anything and does nothing."""

    def __new__(cls, *args: object) -> LeftOut:
        return super().__new__(cls)

    def __init__(self, *args: object) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_durably(path: Path, write: Callable[[Any], None]) -> None:
    """Write a file under a temporary name, flush it to disk, rename it, flush the folder."""
    temporary = path.with_name(path.name + '.tmp')
    try:
        with open(temporary, 'wb') as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, (OSError, RuntimeError)):  # torch's writer raises a RuntimeError at a full disk
            raise
        reason = getattr(error, 'strerror', None) or 'not all of it could be written'
        name = path.with_name(path.name.removesuffix('.new'))
        free = shutil.disk_usage(path.parent).free >> 20
        raise UserError(
            f"cannot write '{name}' ({reason}, {free} MiB free); earlier checkpoints are untouched: make room and "
            'start again with --resume'
        ) from error
    _sync_folder(path.parent)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def hash_file_of(path: Path) -> Path:
    """Where a checkpoint's SHA-256 stands."""
    return path.with_name(path.name + '.sha256')


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint and its SHA-256; a crash at any moment leaves the old files whole.

    The hash is written before the checkpoint gets its name: a file without a matching hash is never resumed from.
    """
    staged = path.with_name(path.name + '.new')
    _write_durably(staged, lambda file: torch.save(checkpoint, file))
    try:
        digest = file_hash(staged)
        _write_durably(hash_file_of(path), lambda file: file.write(f'{digest}  {path.name}\n'.encode()))
        os.replace(staged, path)
    except BaseException:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def damaged_archive(path: Path) -> str | None:
    """What the checksums inside the archive that torch writes say, or None where all fit."""
    try:
        with zipfile.ZipFile(path) as archive:
            part = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError):
        return 'it is cut off'
    return None if part is None else f'it is damaged ({part})'


def verify(path: Path) -> str | None:
    """What is wrong with a checkpoint of this project, or None.

    A file that was copied without its ``.sha256`` is judged by the checksums of the archive that torch writes.
    """
    side = hash_file_of(path)
    if not side.is_file():
        problem = damaged_archive(path)
        return None if problem is None else f'{problem}, and has no .sha256 file'
    if side.read_text(errors='replace').split()[:1] != [file_hash(path)]:
        return 'its content does not match its .sha256 file (damaged or half-written)'
    return None


def iteration_of(path: Path) -> int:
    """Iteration in a checkpoint's name, -1 for other files."""
    match = NAME.match(path.name)
    return int(match.group(1)) if match else -1


def list_checkpoints(folder: Path, name: re.Pattern[str] = NAME) -> list[Path]:
    """Checkpoints of a work dir, oldest first; the pattern's group is their number."""
    found = [(int(match.group(1)), path) for path in folder.glob('*.pth') if (match := name.match(path.name))]
    return [path for _, path in sorted(found)]


def newest_valid(
    folder: Path,
    report: Callable[[str], None],
    name: re.Pattern[str] = NAME,
    problem_of: Callable[[Path], str | None] = verify,
) -> Path | None:
    """The newest checkpoint in which nothing is wrong (that matches its hash); others are reported in one line each."""
    for path in reversed(list_checkpoints(folder, name)):
        problem = problem_of(path)
        if problem is None:
            return path
        report(f'{path} is passed over: {problem}')
    return None


def prune(folder: Path, keep: int, newest: int | None = None) -> None:
    """Remove all but the newest ``keep`` checkpoints (and leftovers of interrupted writes); only after a good write.

    Args:
        folder: the work dir.
        keep: how many.
        newest: iteration of the one just written; later ones (damaged, passed over by a resume) do not count.
    """
    counted = [p for p in list_checkpoints(folder) if newest is None or iteration_of(p) <= newest]
    for path in counted[:-keep]:
        path.unlink(missing_ok=True)
        hash_file_of(path).unlink(missing_ok=True)
    orphans = [side for side in folder.glob('iter_*.pth.sha256') if not side.with_suffix('').exists()]
    for leftover in [*folder.glob('iter_*.pth.new'), *folder.glob('iter_*.tmp'), *orphans]:
        leftover.unlink(missing_ok=True)
    _sync_folder(folder)


def _refusal(file: Path, message: str) -> str:
    """Why torch would not read a file as data."""
    blocked = re.search(r'GLOBAL ([\w.]+)', message)
    with open(file, 'rb') as stream:
        pickled = stream.read(1) == b'\x80'
    if blocked is None and not pickled and not zipfile.is_zipfile(file):
        return f"checkpoint '{file}' is not a checkpoint of PyTorch"
    what = f'it holds the Python object {blocked.group(1)}' if blocked else 'it is a pickle that torch did not write'
    return (
        f"checkpoint '{file}' cannot be read as plain data ({what}); files with code in them are refused; if you trust "
        "it, save its tensors alone: torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW)"
    )


def read_checkpoint(path: str | os.PathLike[str], leave_out: bool = False) -> dict[str, Any]:
    """Read a checkpoint as data; nothing in the file is executed.

    Args:
        path: the file.
        leave_out: read files of other trainers too: numpy's numbers and arrays, and a :class:`LeftOut` for each object
            of ``LEFT_OUT``.

    Raises:
        UserError: no such file, damaged, or holding more than tensors and plain values.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"checkpoint '{path}' {'is a folder' if file.is_dir() else 'does not exist'}")
    if hash_file_of(file).is_file():
        problem = verify(file)
        if problem:
            raise UserError(f"checkpoint '{path}': {problem}; use another one")
    allowed = [*NUMPY, *((LeftOut, name) for name in LEFT_OUT)] if leave_out else []
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.filterwarnings('ignore', message='Detected pickle protocol')  # read, or refused in our words
            checkpoint = torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(_refusal(file, str(error))) from error
    except DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].split('. ')[0][:120]
        raise UserError(f"checkpoint '{path}' is not a checkpoint or is truncated ({reason})") from error
    if not isinstance(checkpoint, dict):
        raise UserError(f"checkpoint '{path}' holds a {type(checkpoint).__name__}, not a dict")
    return checkpoint


def load_strictly(module: torch.nn.Module, state: dict[str, Any], source: str) -> int:
    """Load a state dict completely or not at all.

    Returns:
        number of tensors loaded.

    Raises:
        UserError: any key missing, left over or of another shape; names the first and the counts.
    """
    own = module.state_dict()
    missing = [k for k in own if k not in state]
    extra = [k for k in state if k not in own]
    shapes = [k for k in own if k in state and own[k].shape != state[k].shape]
    if missing or extra or shapes:
        if shapes:
            key = shapes[0]
            first = f'{key} is {tuple(state[key].shape)}, the model has {tuple(own[key].shape)}'
        else:
            first = f'{missing[0]} is missing' if missing else f'{extra[0]} is not in the model'
        raise UserError(
            f"checkpoint '{source}' does not fit model: of {len(own)} tensors {len(missing)} missing, {len(shapes)} of "
            f'another shape, {len(extra)} left over (first: {first}); use the config it was trained with'
        )
    module.load_state_dict(state, strict=True)
    return len(own)
