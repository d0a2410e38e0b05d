"""The schedule of adaptive augmentation, and pictures of what it picked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from PIL import Image

from eqssl.registry import HOOKS
from eqssl.utils import dist
from eqssl.utils.errors import UserError
from eqssl.visualization.pictures import montage, with_captions


@HOOKS.register_module()
class AdaptiveTopKHook(Hook):
    """When an :class:`AdaptiveTopK` task works and how many pairs it takes; all functions of the iteration.

    Args:
        task: name of the task under ``model.auxiliary``.
        start: epochs (``by_epoch``) or iterations before the first rescue (after the warm-up of the learning rate).
        ramp: epochs or iterations in which the loss grows to its weight.
        share: k as a share of a rank's batch; None leaves the task's own.
        by_epoch: unit of ``start`` and ``ramp``.
        picture_interval: iterations between pictures ``<work_dir>/topk/iter_<n>.png`` of the picked images: first and
            second view, strong view, from the most similar pair on; 0 for none.
    """

    priority = 'HIGH'

    def __init__(
        self,
        task: str = 'topk',
        start: float = 10,
        ramp: float = 0,
        share: float | None = None,
        by_epoch: bool = True,
        picture_interval: int = 0,
    ) -> None:
        if start < 0 or ramp < 0 or picture_interval < 0:
            raise UserError(
                f'AdaptiveTopKHook: start={start}, ramp={ramp} and picture_interval={picture_interval} must not be '
                'negative'
            )
        if share is not None and not 0 < share <= 1:
            raise UserError(f'AdaptiveTopKHook: share={share} of the batch is not in (0, 1]: k cannot exceed the batch')
        self.task, self.start, self.ramp, self.share = task, start, ramp, share
        self.by_epoch, self.picture_interval = by_epoch, picture_interval

    def strength(self, done: float) -> float:
        """Factor of the loss, in [0, 1], after ``done`` epochs or iterations."""
        if done < self.start:
            return 0.0
        return 1.0 if self.ramp == 0 else min(1.0, (done - self.start) / self.ramp)

    def _find(self, runner: Any) -> Any:
        tasks = runner.bare_model.auxiliary
        if self.task not in tasks:
            known = ', '.join(tasks) or 'none'
            raise UserError(f"AdaptiveTopKHook: task='{self.task}' is not under model.auxiliary (there: {known})")
        return tasks[self.task]

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Set this iteration's strength and share."""
        task = self._find(runner)
        unit = runner.train_loop.iters_per_epoch if self.by_epoch else 1
        task.strength = self.strength(runner.iter / unit)
        if self.share is not None:
            task.share = self.share
        task.keep_picture = self.picture_interval > 0 and (runner.iter + 1) % self.picture_interval == 0

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Draw what was picked."""
        task = self._find(runner)
        if task.keep_picture and task.picked and dist.rank() == 0:
            folder = Path(runner.work_dir) / 'topk'
            folder.mkdir(exist_ok=True)
            denormalize = runner.bare_model.data_preprocessor.denormalize
            rows = [denormalize(task.picked[k][:12]) for k in ('first', 'second')]
            rows.append(task.picked['strong'][:12].clamp(0, 1))
            captions = ['first view', 'second view', 'strong view']
            picture = with_captions(captions, [montage([row], 64) for row in rows], width=110)
            Image.fromarray(picture).save(folder / f'iter_{runner.iter + 1}.png')
