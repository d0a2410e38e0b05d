"""Pictures of what adaptive augmentation picked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from PIL import Image

from eqssl.registry import HOOKS
from eqssl.utils import dist
from eqssl.utils.errors import UserError
from eqssl.visualization.pictures import montage, with_captions

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner

MOVED = ('start', 'ramp', 'share', 'by_epoch')  # arguments of the hook that are the task's schedules


@HOOKS.register_module()
class AdaptiveTopKHook(Hook):
    """Shows which pairs an :class:`AdaptiveTopK` task rescued.

    Args:
        task: name of the task under ``model.auxiliary``.
        picture_interval: iterations between pictures ``<work_dir>/topk/iter_<n>.png`` of the picked images: first and
            second view, strong view, from the most similar pair on; 0 for none.

    Raises:
        UserError: an argument that is a schedule of the task.
    """

    priority = 'HIGH'

    def __init__(self, task: str = 'topk', picture_interval: int = 0, **moved: Any) -> None:
        for name in moved:
            if name not in MOVED:
                raise UserError(f"AdaptiveTopKHook has no argument '{name}'")
            raise UserError(
                f'AdaptiveTopKHook: {name}={moved[name]} is a schedule of the task: model.auxiliary.{task}='
                'dict(share=0.1, strength=dict(start=1, begin=10, warmup=0))'
            )
        if picture_interval < 0:
            raise UserError(f'AdaptiveTopKHook: picture_interval={picture_interval} must not be negative')
        self.task, self.picture_interval = task, picture_interval

    def _find(self, runner: Runner) -> Any:
        tasks = runner.bare_model.auxiliary
        if self.task not in tasks:
            known = ', '.join(tasks) or 'none'
            raise UserError(f"AdaptiveTopKHook: task='{self.task}' is not under model.auxiliary (there: {known})")
        return tasks[self.task]

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Say whether this iteration is drawn."""
        task = self._find(runner)
        task.keep_picture = self.picture_interval > 0 and (runner.iter + 1) % self.picture_interval == 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
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
