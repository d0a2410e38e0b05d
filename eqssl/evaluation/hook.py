"""Evaluates during training, without disturbing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook

from eqssl.engine.random_state import get_random_state, set_random_state
from eqssl.evaluation.evaluation import Evaluation
from eqssl.registry import HOOKS
from eqssl.utils import dist
from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import append_line, keep_until, read_lines

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


@HOOKS.register_module()
class EvaluationHook(Hook):
    """Runs the tasks of the config key ``evaluation`` every ``interval`` and at the end, on rank 0.

    Results go to ``<work_dir>/evaluation.jsonl``, to the visualizer and to the log. Random states are restored after
    it, so that training is the same with and without the hook. It comes after the checkpoint of its iteration; what
    goes wrong in it is logged and costs no training; if the last one failed, the command ends with an error.

    Args:
        interval: epochs (``by_epoch``) or iterations between evaluations; 0: at the end only.
        by_epoch: unit of ``interval``.
        tasks: names of the tasks to run; all by default.
        limits: split -> largest number of images, in the place of ``evaluation.limits``: a sample for curves.
        at_start: also before the first iteration, so that curves begin at the untrained network.
    """

    priority = 'LOWEST'  # after CheckpointHook and SignalHook: both have saved

    def __init__(
        self,
        interval: int = 10,
        by_epoch: bool = True,
        tasks: list[str] | None = None,
        limits: dict[str, int] | None = None,
        at_start: bool = False,
    ) -> None:
        self.interval, self.by_epoch, self.tasks = interval, by_epoch, tasks
        self.limits, self.at_start = limits, at_start
        self.evaluation: Any = None
        self.failed = ''

    def prepare(self, settings: dict[str, Any] | None) -> None:
        """Build the evaluation, so that what is wrong with it or its data is said before the first step.

        Args:
            settings: the config key ``evaluation``.

        Raises:
            UserError: names the key.
        """
        if settings is None:
            raise UserError(
                'default_hooks.evaluation measures what the config key evaluation says, which is not set; set it, or '
                'default_hooks.evaluation=None'
            )
        self.evaluation = Evaluation.from_settings({**settings, 'limits': self.limits or settings.get('limits')})
        self.evaluation.select(self.tasks)
        self.evaluation.check()

    def before_run(self, runner: Runner) -> None:
        """See :meth:`prepare`; what rank 0 refuses stops every rank."""
        dist.rank_0_decides(lambda: self.prepare(runner.cfg.get('evaluation')))

    def before_train(self, runner: Runner) -> None:
        """Drop results that a resumed run will measure again; make up for one that was due and is not there."""
        due = self._due(runner, runner.iter) if runner.iter else self.at_start
        if dist.rank() == 0:
            keep_until(self._file(runner), runner.iter)
            due = due and not any(line['iter'] == runner.iter for line in read_lines(self._file(runner)))
        if dist.broadcast_object(due):
            self._evaluate(runner, runner.iter)

    def _file(self, runner: Runner) -> Path:
        return Path(runner.work_dir) / 'evaluation.jsonl'

    def _due(self, runner: Runner, done: int) -> bool:
        unit = runner.train_loop.iters_per_epoch if self.by_epoch else 1
        return (self.interval > 0 and done % (self.interval * unit) == 0) or done == runner.max_iters

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Evaluate when it is time."""
        if self._due(runner, runner.iter + 1) and not getattr(runner, 'interrupted', False):
            self._evaluate(runner, runner.iter + 1)

    def _evaluate(self, runner: Runner, done: int) -> None:
        if dist.rank() == 0:
            self.failed, state = '', get_random_state()
            try:
                self._run(runner, done)
            except Exception as error:  # the training goes on
                self.failed = str(error) if isinstance(error, UserError) else f'{type(error).__name__}: {error}'
                runner.logger.error(f'evaluation after iteration {done} failed: {self.failed}')
            finally:
                set_random_state(state)
        dist.barrier()

    def _run(self, runner: Runner, done: int) -> None:
        result = self.evaluation.run(runner.bare_model)
        append_line(self._file(runner), {'iter': done, **result})
        runner.visualizer.add_scalars({f'eval/{k}': v for k, v in result.items()}, step=done)
        shown = '  '.join(f'{k}={v:.3f}' for k, v in result.items() if 'global' not in k and 'error' not in k)
        runner.logger.info(f'evaluation after iteration {done}: {shown}')

    def after_train(self, runner: Runner) -> None:
        """Say by the exit code, on every rank, that the last evaluation failed."""
        failed = dist.broadcast_object(self.failed)
        if failed and not getattr(runner, 'interrupted', False):
            raise UserError(
                f'the training is complete and saved, but its last evaluation failed ({failed}); mend it and run '
                'eqssl evaluate'
            )
