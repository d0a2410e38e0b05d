"""Counts, lists and limits unreadable images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook

from eqssl.registry import HOOKS
from eqssl.utils import dist
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """Unreadable files are skipped by the data set and travel with the batch to this hook.

    Args:
        max_share: largest tolerated share of unreadable files among the images tried (config key
            ``default_hooks.unreadable.max_share``).
        min_tried: no judgement before this many images were tried.
    """

    def __init__(self, max_share: float = 0.01, min_tried: int = 200) -> None:
        if not 0 <= max_share <= 1:
            raise UserError(f'default_hooks.unreadable.max_share={max_share} is not in [0, 1]')
        self.max_share, self.min_tried = max_share, min_tried
        self.tried = 0
        self.failures = 0
        self.files: dict[str, str] = {}

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Take note of one batch."""
        assert data_batch is not None
        bad = data_batch['unreadable']
        self.tried += len(data_batch['index']) + len(bad)
        self.failures += len(bad)
        for name, reason in bad:
            if name not in self.files:
                self.files[name] = reason
                runner.logger.warning(f'unreadable image skipped: {name} ({reason})')
                with open(self._listing(runner), 'a', encoding='utf-8') as file:
                    file.write(f'{name}\t{reason}\n')
        if bad and self.tried >= self.min_tried and self.failures > self.max_share * self.tried:
            name, reason = next(iter(self.files.items()))
            raise UserError(
                f'{self.failures} of {self.tried} images tried are unreadable (first: {name}, {reason}), more than '
                f'default_hooks.unreadable.max_share={self.max_share}; they are listed in {self._listing(runner)}. '
                'Mend the files or raise max_share'
            )

    def _listing(self, runner: Runner) -> Path:
        suffix = f'.rank{dist.rank()}' if dist.world_size() > 1 else ''
        return Path(runner.work_dir) / f'unreadable{suffix}.txt'

    def after_train(self, runner: Runner) -> None:
        """Say how many there were."""
        if self.files:
            runner.logger.warning(f'{len(self.files)} unreadable images were skipped, see {self._listing(runner)}')

    def state_dict(self) -> dict[str, Any]:
        """Counts and list."""
        return {'tried': self.tried, 'failures': self.failures, 'files': dict(self.files)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.tried, self.failures, self.files = state['tried'], state['failures'], dict(state['files'])
