"""Writes checkpoints at intervals and at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.hooks import Hook

from eqssl.checkpoint.store import prune
from eqssl.registry import HOOKS
from eqssl.utils import dist
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


@HOOKS.register_module()
class CheckpointHook(Hook):
    """``iter_<n>.pth`` with its SHA-256 beside it; without logging histories.

    A checkpoint that falls between the parts of an accumulated step waits for the end of the step: gradients are not
    saved.

    Args:
        interval: epochs (``by_epoch``) or iterations between checkpoints, at least 1.
        by_epoch: unit of ``interval``.
        keep: how many of the newest to keep, at least 1; older ones are removed only after a new one is safely on disk.
        milestones: iterations whose checkpoints are kept for good (as ``milestone_<n>.pth``).
    """

    priority = 'VERY_LOW'

    def __init__(
        self, interval: int = 1, by_epoch: bool = True, keep: int = 2, milestones: tuple[int, ...] = ()
    ) -> None:
        if interval < 1 or keep < 1:
            raise UserError(f'default_hooks.checkpoint: interval={interval} and keep={keep} must be at least 1')
        self.interval, self.by_epoch, self.keep = interval, by_epoch, keep
        self.milestones = set(milestones)
        self.due = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Save when it is time."""
        done = runner.iter + 1
        unit = runner.train_loop.iters_per_epoch if self.by_epoch else 1
        self.due |= done % (self.interval * unit) == 0 or done == runner.max_iters or done in self.milestones
        if self.due and (runner.optim_wrapper.should_update() or done == runner.max_iters):
            self.due = False
            self.save(runner, done)

    def save(self, runner: Runner, done: int) -> Path:
        """Save now; every rank calls this."""
        path = runner.save(done)
        if dist.rank() == 0:
            if done in self.milestones:
                _link(path, path.with_name(f'milestone_{done}.pth'))
            prune(path.parent, self.keep, done)
        runner.logger.info(f'checkpoint {path}')
        return path


def _link(path: Path, target: Path) -> None:
    """A second name for a file; pruning the first leaves the second."""
    target.unlink(missing_ok=True)
    target.hardlink_to(path)
