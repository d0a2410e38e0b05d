"""A progress bar on a terminal: iterations, losses, images/s, time left."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


class ProgressBar:
    """rich's bar; it never reads from the device by itself."""

    def __init__(self, start: int, total: int, images: int) -> None:
        self.images, self.begin, self.start = images, time.time(), start
        self.losses = ''
        self.progress = Progress(
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn('{task.fields[losses]}'),
            TextColumn('{task.fields[rate]:.3g} images/s'),
            TimeRemainingColumn(),
            console=Console(file=sys.stdout),
            refresh_per_second=4,
        )
        self.task = self.progress.add_task('training', total=total, completed=start, losses='', rate=0.0)
        self.progress.start()

    @classmethod
    def open(cls, start: int, total: int, images: int) -> ProgressBar | None:
        """A bar where standard output is a terminal, else None (log lines are printed there)."""
        return cls(start, total, images) if sys.stdout.isatty() else None

    def advance(self, done: int, losses: str | None = None) -> None:
        """Show an iteration, and new losses where they were read."""
        self.losses = losses if losses is not None else self.losses
        rate = self.images * (done - self.start) / max(1e-9, time.time() - self.begin)
        self.progress.update(self.task, completed=done, losses=self.losses, rate=rate)

    def close(self) -> None:
        """Leave the finished bar on the screen."""
        self.progress.stop()
