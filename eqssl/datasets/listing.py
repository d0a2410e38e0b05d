"""The image files of a folder tree: every real folder once, and what was left out is counted."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from eqssl.datasets.image_reader import EXTENSIONS


def printable(name: str) -> str:
    """A file name that can be written anywhere; bytes that are no UTF-8 become ``\\xe9``."""
    return name.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')


@dataclass
class Listing:
    """What a walk through a folder found.

    Attributes:
        files: paths relative to the root, sorted, so that an index means the same image everywhere.
        endings: ending -> number of files that have another one than images have.
        hidden: files and folders whose name begins with a dot.
        links: links to folders that are listed already, or that contain the root.
        others: what is neither file nor folder: pipes, sockets, links to nothing.
    """

    files: list[str] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    links: int = 0
    others: int = 0

    def left_out(self) -> str:
        """What was passed over, in words; empty where nothing was."""
        parts = []
        if self.endings:
            common = ', '.join(f'{printable(ending)} {count}' for ending, count in self.endings.most_common(5))
            parts.append(f'{self.endings.total()} files with other endings ({common})')
        if self.hidden:
            parts.append(f'{self.hidden} hidden files or folders')
        if self.links:
            parts.append(f'{self.links} links to folders that are listed already')
        if self.others:
            parts.append(f'{self.others} that are no files (pipes, links to nothing)')
        return ', '.join(parts)


class _Walk:
    """Real folders first, then links to folders that were not met, so that a link never takes a real folder's place."""

    def __init__(self, root: Path) -> None:
        self.found = Listing()
        self.root = root
        self.seen: set[tuple[int, int]] = set()
        self.links: deque[str] = deque()
        self.above = {_identity(folder) for folder in [root.resolve(), *root.resolve().parents]}

    def run(self) -> Listing:
        self._folders('')
        while self.links:
            link = self.links.popleft()
            identity = _identity(self.root / link)
            if identity in self.seen or identity in self.above:
                self.found.links += 1
            else:
                self._folders(link + os.sep)
        self.found.files.sort()
        return self.found

    def _folders(self, start: str) -> None:
        """List a folder and the real folders in it; ``start`` is its path below the root, with a separator."""
        waiting, links = [start], []
        while waiting:
            prefix = waiting.pop()
            identity = _identity(self.root / prefix)
            if identity in self.seen:  # through a link to a folder around it
                self.found.links += 1
                continue
            self.seen.add(identity)
            for entry in _entries(self.root / prefix):
                if entry.name.startswith('.'):
                    self.found.hidden += 1
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(f'{prefix}{entry.name}{os.sep}')
                elif entry.is_symlink() and _is_folder(entry):
                    links.append(prefix + entry.name)
                elif not _is_file(entry):
                    self.found.others += 1
                else:
                    self._file(prefix, entry.name)
        self.links.extend(sorted(links))

    def _file(self, prefix: str, name: str) -> None:
        if name.lower().endswith(EXTENSIONS):
            self.found.files.append(prefix + name)
        else:
            self.found.endings[os.path.splitext(name)[1].lower() or 'none'] += 1  # noqa: PTH122


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_folder(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def list_images(root: Path) -> Listing:
    """All image files below a folder.

    Hidden files and folders (``.ipynb_checkpoints``) are no data. Links to folders are followed, each real folder once;
    a link to a folder above, or to one that is listed anyway, is passed over.
    """
    return _Walk(root).run()
