"""Logs running means with one host read per interval."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.hooks import Hook
from torch import Tensor

from eqssl.engine.hooks.progress_bar import ProgressBar
from eqssl.registry import HOOKS
from eqssl.utils import dist
from eqssl.utils.errors import UserError
from eqssl.utils.json_lines import append_line, keep_until

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


@HOOKS.register_module()
class LogHook(Hook):
    """Replaces mmengine's timer and logger hooks.

    Losses and monitors are summed on the device; every ``interval`` iterations their mean over iterations and ranks is
    read once and goes to ``<work_dir>/log.jsonl``, to the visualizer (TensorBoard, W&B, ...) and to the console. The
    number of skipped non-finite steps is read along; ``max_nonfinite`` of them in a row stop the run.

    Args:
        interval: iterations between log lines.
        max_nonfinite: consecutive skipped steps that stop the run.
        bar: a progress bar where the console is a terminal.
    """

    priority = 'BELOW_NORMAL'

    def __init__(self, interval: int = 50, max_nonfinite: int = 20, bar: bool = True) -> None:
        if interval < 1:
            raise UserError(f'default_hooks.logger.interval={interval} must be at least 1')
        self.interval, self.max_nonfinite = interval, max_nonfinite
        self.use_bar = bar
        self.bar: ProgressBar | None = None
        self.sums: Tensor | None = None
        self.count = 0
        self.names: list[str] = []

    def before_train(self, runner: Runner) -> None:
        """Open the bar; drop log lines that a resumed run will write again."""
        self.start_time, self.start_iter = time.time(), runner.iter
        self.last_time, self.last_iter = self.start_time, runner.iter
        if dist.rank() == 0:
            keep_until(self._file(runner), runner.iter)
            if self.use_bar:
                self.bar = ProgressBar.open(runner.iter, runner.max_iters, runner.global_batch)

    def _file(self, runner: Runner) -> Path:
        return Path(runner.work_dir) / 'log.jsonl'

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Add to the sums; write a line when it is time."""
        assert outputs is not None
        self.names = [*outputs, 'grad_norm']
        values = [v.detach().float() for v in outputs.values()] + [runner.optim_wrapper.grad_norm]
        step = torch.stack([v.reshape(()) for v in values])
        if self.sums is not None and self.sums.shape != step.shape:  # of a run that had other tasks
            self.sums, self.count = None, 0
        self.sums = step if self.sums is None else self.sums.to(step.device) + step
        self.count += 1
        done = runner.iter + 1
        if done % self.interval == 0 or done == runner.max_iters:
            self._write(runner, done)
        elif self.bar is not None:
            self.bar.advance(done)

    def _read(self, runner: Runner) -> tuple[dict[str, float], int, int]:
        """Means over iterations and ranks, RankMe of the last batch, counts of skipped steps: the only host reads."""
        assert self.sums is not None
        wrapper = runner.optim_wrapper
        extra = runner.bare_model.costly_monitors()
        extra.update({name: measure() for name, measure in runner.monitors.items()})
        step = torch.cat([self.sums / self.count, self.sums.new_tensor(list(extra.values()))])
        means = dist.all_reduce_sum(step) / dist.world_size()
        values = torch.cat([means, wrapper.nonfinite_steps[None], wrapper.nonfinite_run[None]]).tolist()
        return dict(zip([*self.names, *extra], values[:-2], strict=True)), int(values[-2]), int(values[-1])

    def _write(self, runner: Runner, done: int) -> None:
        means, skipped, in_a_row = self._read(runner)
        self.sums, self.count = None, 0
        now = time.time()
        rate = runner.global_batch * (done - self.last_iter) / max(1e-9, now - self.last_time)
        left = (runner.max_iters - done) * (now - self.start_time) / max(1, done - self.start_iter)
        self.last_time, self.last_iter = now, done
        group = runner.optim_wrapper.optimizer.param_groups[0]
        line = {'iter': done, 'epoch': round(done / runner.train_loop.iters_per_epoch, 3), 'lr': group['lr']}
        line.update(weight_decay=group.get('weight_decay', 0.0), **means)
        line.update(nonfinite_steps=skipped, images_per_s=round(rate, 1))
        if dist.rank() == 0:
            append_line(self._file(runner), line)
            runner.visualizer.add_scalars({k: v for k, v in line.items() if k != 'iter'}, step=done)
            self._show(runner, line, left)
        if in_a_row >= self.max_nonfinite:
            raise UserError(
                f'{in_a_row} steps in a row had a non-finite loss or gradient; weights are those from before them. '
                'Lower optim_wrapper.optimizer.lr, or use precision bf16 or fp32 instead of fp16'
            )

    def _show(self, runner: Runner, line: dict[str, Any], left: float) -> None:
        losses = ' '.join(f'{k}={line[k]:.4f}' for k in line if 'loss' in k)
        if self.bar is not None:  # short names: all of it fits 80 columns
            short = ' '.join(f'{k.removeprefix("loss_")} {line[k]:.2f}' for k in line if 'loss' in k)
            self.bar.advance(line['iter'], short)
            return
        minutes, seconds = divmod(int(left), 60)
        text = f'iter {line["iter"]}/{runner.max_iters}  {losses}  lr={line["lr"]:.2e}'
        text += f'  {line["images_per_s"]:.3g} images/s  left {minutes // 60}:{minutes % 60:02d}:{seconds:02d}'
        if line['nonfinite_steps']:
            text += f'  NON-FINITE STEPS SKIPPED: {line["nonfinite_steps"]}'
        runner.logger.info(text)

    def after_train(self, runner: Runner) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def state_dict(self) -> dict[str, Any]:
        """Sums since the last line."""
        return {'sums': None if self.sums is None else self.sums.cpu(), 'count': self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.sums, self.count = state['sums'], state['count']
