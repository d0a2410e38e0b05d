"""Evaluates during training, without disturbing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook

from eqssl.engine.hooks.log import truncate_log
from eqssl.registry import HOOKS
from eqssl.utils import dist


@HOOKS.register_module()
class EvaluationHook(Hook):
    """Runs the tasks of the config key ``evaluation`` every ``interval`` and at the end, on rank 0.

    Results go to ``<work_dir>/evaluation.jsonl``, to the visualizer and to the log. Random states are restored after
    it, so that training is the same with and without the hook.

    Args:
        interval: epochs (``by_epoch``) or iterations between evaluations; 0: at the end only.
        by_epoch: unit of ``interval``.
        tasks: names of the tasks to run; all by default.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 10, by_epoch: bool = True, tasks: list[str] | None = None) -> None:
        self.interval, self.by_epoch, self.tasks = interval, by_epoch, tasks
        self.evaluation: Any = None

    def before_train(self, runner: Any) -> None:
        """Drop results that a resumed run will measure again."""
        if dist.rank() == 0:
            truncate_log(Path(runner.work_dir) / 'evaluation.jsonl', runner.iter)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Evaluate when it is time."""
        done = runner.iter + 1
        unit = runner.train_loop.iters_per_epoch if self.by_epoch else 1
        due = self.interval > 0 and done % (self.interval * unit) == 0
        if due or done == runner.max_iters:
            if dist.rank() == 0:
                with torch.random.fork_rng():
                    self._run(runner, done)
            dist.barrier()

    def _run(self, runner: Any, done: int) -> None:
        if self.evaluation is None:
            from eqssl.evaluation import Evaluation

            self.evaluation = Evaluation(**runner.cfg.evaluation)
            self.evaluation.select(self.tasks)
        result = self.evaluation.run(runner.bare_model)
        with open(Path(runner.work_dir) / 'evaluation.jsonl', 'a', encoding='utf-8') as file:
            file.write(json.dumps({'iter': done, **result}) + '\n')
        runner.visualizer.add_scalars({f'eval/{k}': v for k, v in result.items()}, step=done)
        shown = '  '.join(f'{k}={v:.3f}' for k, v in result.items() if 'global' not in k)
        runner.logger.info(f'evaluation after iteration {done}: {shown}')
