"""The training loop: mmengine's iteration loop with lengths in epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.runner import IterBasedTrainLoop

from eqssl.engine.fit_check import check_fit
from eqssl.registry import LOOPS
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from eqssl.engine.runner import Runner


@LOOPS.register_module()
class PretrainLoop(IterBasedTrainLoop):
    """One endless stream of positions, cut into ``max_epochs`` epochs or ``max_iters`` iterations.

    Args:
        runner: the Runner.
        dataloader: config or loader, with a :class:`PositionSampler`.
        max_epochs: length in epochs, or
        max_iters: length in iterations; exactly one of the two.
        try_iters: run so many iterations alone, as if they were the whole run: an epoch shrinks with it, and with it
            all that is given in epochs.

    Attributes:
        whole: iterations of the run without ``try_iters``.
        scale: share of ``whole`` that is run.
        iters_per_epoch: iterations in which everything given in epochs counts; a fraction where ``scale`` is not 1.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        max_epochs: int | None = None,
        max_iters: int | None = None,
        try_iters: int | None = None,
    ) -> None:
        if (max_epochs is None) == (max_iters is None):
            raise UserError('train_cfg: give exactly one of max_epochs and max_iters')
        if isinstance(dataloader, dict):
            dataloader = runner.build_dataloader(dataloader, seed=runner.seed)
        wrapper = runner.optim_wrapper
        accumulate = (
            wrapper.get('accumulative_counts', 1) if isinstance(wrapper, dict) else wrapper._accumulative_counts
        )
        check_fit(runner.bare_model, dataloader.dataset, dataloader.batch_size, runner.world_size, accumulate)
        runner.bare_model.data_preprocessor.device_images = dataloader.dataset.device_images()
        if try_iters is not None and try_iters < 2:
            raise UserError(f'train_cfg.try_iters={try_iters} must be at least 2')
        per_epoch = max(1, len(dataloader.sampler) // dataloader.batch_size)
        self.whole = max_iters if max_iters is not None else max_epochs * per_epoch  # type: ignore[operator]
        iters = self.whole if try_iters is None else min(try_iters, self.whole)
        self.scale = iters / self.whole
        self.iters_per_epoch: float = per_epoch if iters == self.whole else per_epoch * self.scale
        super().__init__(runner, dataloader, max_iters=iters)
        self._max_epochs = max_epochs or max(1, -(-self.whole // per_epoch))

    def run(self) -> Any:
        """Train; data workers are ended whatever happens (they do not die by the first SIGTERM, see init_worker)."""
        try:
            return super().run()
        finally:
            iterator = self.dataloader_iterator._iterator
            if hasattr(iterator, '_shutdown_workers'):
                iterator._shutdown_workers()

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return int(self._iter // self.iters_per_epoch)

    def resume_at(self, iteration: int) -> None:
        """Continue after ``iteration`` iterations; :meth:`run` advances the sampler."""
        self._iter = iteration
