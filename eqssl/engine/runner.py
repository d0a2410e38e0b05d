"""mmengine's Runner with an exact and safe resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.device import get_device
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner as MMRunner

from eqssl.checkpoint.store import (
    load_strictly,
    read_checkpoint,
    write_checkpoint,
)
from eqssl.engine.random_state import get_random_state, set_random_state
from eqssl.engine.resume import check_resumable, find_checkpoint, load_weights, name_changes, restore_optimizer
from eqssl.models.layers import synchronize
from eqssl.registry import RUNNERS
from eqssl.utils import dist
from eqssl.utils.errors import UserError
from eqssl.version import __version__

if TYPE_CHECKING:
    from eqssl.engine.loop import PretrainLoop


def shrunk(schedule: dict[str, Any], loop: PretrainLoop) -> dict[str, Any]:
    """A schedule's config with lengths in iterations of a trial (see :class:`PretrainLoop`)."""
    unit = loop.iters_per_epoch if schedule.get('by_epoch', True) else loop.scale
    kept = {k: v for k, v in schedule.items() if k != 'convert_to_iter_based'}
    return {**kept, 'by_epoch': False, **{k: v * unit for k, v in schedule.items() if k in ('warmup', 'end')}}


@RUNNERS.register_module()
class Runner(MMRunner):
    """Runs pre-training. Only loading, resuming and the environment log differ from mmengine's Runner.

    ``resume`` finds the newest checkpoint that matches its checksum by scanning the work dir, loads it strictly as
    data (mmengine's own resume is not strict and evaluates text from the file), and continues bit for bit: position,
    weights, optimizer, schedules, hooks and the random states of every rank.
    """

    _has_loaded: bool = False
    random_states: list[dict[str, Any]] | None = None
    _found: Path | None = None  # the checkpoint that is continued

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.monitors: dict[str, Callable[[], float]] = {}  # what hooks add to every log line; read once per interval
        super().__init__(*args, **kwargs)

    @property
    def bare_model(self) -> Any:
        """The model without a distributed wrapper."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    @property
    def global_batch(self) -> int:
        """Images per iteration over all ranks."""
        return int(self.train_dataloader.batch_size or 1) * self.world_size

    def _log_env(self, env_cfg: dict) -> None:
        """Two lines; the whole config stands in the work dir."""
        device = (
            torch.cuda.get_device_name() if torch.cuda.is_available() else f'CPU, {torch.get_num_threads()} threads'
        )
        self.logger.info(f'eqssl {__version__}, torch {torch.__version__}, {device}, {self.world_size} rank(s)')
        self.logger.info(f'work dir {self.work_dir}, seed {self.seed}')

    def wrap_model(self, model_wrapper_cfg: dict | None, model: Any) -> Any:
        """As mmengine's, with batch norm over ranks on any device where the config says ``sync_bn='torch'``."""
        kind = self.cfg.get('sync_bn')
        if kind not in (None, 'torch'):
            raise UserError(f"sync_bn='{kind}' is not supported; set sync_bn='torch' or leave it out")
        if kind is not None and self.world_size > 1:
            synchronize(model.to(get_device()))
        self.cfg.pop('sync_bn', None)  # mmengine's own conversion knows GPUs only
        try:
            return super().wrap_model(model_wrapper_cfg, model)
        finally:
            if kind is not None:
                self.cfg['sync_bn'] = kind  # checkpoints store the config

    def dump_config(self) -> None:
        """Written when the run has begun, not when it is built: one that is refused leaves the old run's config."""
        if self._has_loaded:
            super().dump_config()

    def load_or_resume(self) -> None:
        """Resume or load weights, once."""
        if self._has_loaded:
            return
        if self._found is not None:
            self.resume_from(self._found)
        elif self._load_from is not None:
            count = load_weights(self.bare_model, self._load_from)
            self.logger.info(f'loaded {count} of {count} tensors from {self._load_from}')
        if self._resume and self._found is None:
            self.logger.warning(f'--resume: no checkpoint in {self.work_dir} yet, starting at iteration 0')
        self._has_loaded = True
        self.dump_config()

    def _init_model_weights(self) -> None:
        """As mmengine's; a run that continues reads no file to begin from."""
        if self._resume:
            self._found = dist.rank_0_decides(lambda: find_checkpoint(self.work_dir, self.cfg.get('resume_file')))
        if self._found is not None or self._load_from is not None:
            for module in self.bare_model.modules():
                init = getattr(module, 'init_cfg', None)
                if isinstance(init, dict) and init.get('type') == 'eqssl.PretrainedBackbone':
                    module.init_cfg = None
        super()._init_model_weights()

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """As mmengine's; where the loop is a trial (``try_iters``), lengths shrink with it."""
        loop: Any = self._train_loop
        if getattr(loop, 'scale', 1.0) != 1.0:
            scheduler = [
                shrunk(s, loop) if isinstance(s, dict) else s
                for s in (scheduler if isinstance(scheduler, list) else [scheduler])
            ]
        return super().build_param_scheduler(scheduler)

    # -- what a checkpoint is ------------------------------------------------------------------------------------

    def collect(self, iteration: int) -> dict[str, Any]:
        """Everything that the future of the run depends on, after ``iteration`` iterations; called on every rank."""
        random_states = dist.gather_objects(get_random_state())
        hooks = dist.gather_objects({name: hook.state_dict() for name, hook in self._stateful_hooks().items()})
        return {
            'meta': {
                'iter': iteration,
                'consumed_samples': iteration * self.global_batch,
                'global_batch': self.global_batch,
                'num_images': len(self.train_dataloader.dataset),
                'world_size': self.world_size,
                'seed': self.seed,
                'eqssl_version': __version__,
                'torch_version': str(torch.__version__),
                'cfg': self.cfg.pretty_text,
                'experiment_name': self.experiment_name,
            },
            'state_dict': {k: v.detach().cpu() for k, v in self.bare_model.state_dict().items()},
            'optimizer': self.optim_wrapper.state_dict(),
            'param_schedulers': [self._scheduler_state(s) for s in self.schedules()],
            'hooks': hooks,
            'random_states': random_states,
        }

    def save(self, iteration: int) -> Path:
        """Write the checkpoint of an iteration; called on every rank, rank 0 writes."""
        checkpoint = self.collect(iteration)
        path = Path(self.work_dir) / f'iter_{iteration}.pth'
        dist.rank_0_decides(lambda: write_checkpoint(path, checkpoint))
        return path

    def _stateful_hooks(self) -> dict[str, Any]:
        """Hooks with a state by the name of their class; a second one of a class has ``.2`` behind it."""
        named: dict[str, Any] = {}
        for hook in self.hooks:
            if hasattr(hook, 'state_dict'):
                kind = type(hook).__name__
                number = sum(type(other) is type(hook) for other in named.values()) + 1
                named[kind if number == 1 else f'{kind}.{number}'] = hook
        return named

    def schedules(self) -> list[Any]:
        """The schedules, built."""
        return list(self.param_schedulers or [])  # type: ignore[arg-type]

    @staticmethod
    def _scheduler_state(scheduler: Any) -> dict[str, Any]:
        plain = (int, float, str, bool, list)
        return {k: v for k, v in scheduler.state_dict().items() if isinstance(v, plain)}

    def resume_from(self, path: str | Path) -> None:
        """Continue from a checkpoint of this project; see :mod:`eqssl.engine.resume` for what comes from where."""
        checkpoint = read_checkpoint(path)
        check_resumable(self, checkpoint, Path(path))
        meta = checkpoint['meta']
        load_strictly(self.bare_model, checkpoint['state_dict'], str(path))
        restore_optimizer(self, checkpoint)
        name_changes(self, checkpoint)
        same_ranks = meta['world_size'] == self.world_size
        states = checkpoint['hooks'][dist.rank() if same_ranks else 0]
        for name, hook in self._stateful_hooks().items():
            if name in states:
                hook.load_state_dict(states[name])
        self.train_loop.resume_at(meta['iter'])  # type: ignore[attr-defined]
        if same_ranks:
            self.random_states = checkpoint['random_states']
        else:
            self.logger.warning(
                f'{meta["world_size"]} ranks wrote the checkpoint, now {self.world_size}: views stay the same, drop '
                'path and dropout draw anew'
            )
        self.logger.info(f'resumed from {path} after iteration {meta["iter"]}')

    def restore_random_state(self) -> None:
        """Called at the first iteration: building the data loader has drawn from the generators in between."""
        if self.random_states is not None:
            set_random_state(self.random_states[dist.rank()])
            self.random_states = None
