"""The training loop: mmengine's iteration loop with lengths in epochs."""

from __future__ import annotations

from typing import Any

from mmengine.runner import IterBasedTrainLoop

from eqssl.engine.fit_check import check_fit
from eqssl.registry import LOOPS
from eqssl.utils.errors import UserError


@LOOPS.register_module()
class PretrainLoop(IterBasedTrainLoop):
    """One endless stream of positions, cut into ``max_epochs`` epochs or ``max_iters`` iterations.

    Args:
        runner: the Runner.
        dataloader: config or loader, with a :class:`PositionSampler`.
        max_epochs: length in epochs, or
        max_iters: length in iterations; exactly one of the two.
    """

    def __init__(
        self, runner: Any, dataloader: Any, max_epochs: int | None = None, max_iters: int | None = None
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
        self.iters_per_epoch = max(1, len(dataloader.sampler) // dataloader.batch_size)
        iters = max_iters if max_iters is not None else max_epochs * self.iters_per_epoch  # type: ignore[operator]
        super().__init__(runner, dataloader, max_iters=iters)
        self._max_epochs = max_epochs or max(1, -(-iters // self.iters_per_epoch))

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
        return self._iter // self.iters_per_epoch

    def resume_at(self, iteration: int) -> None:
        """Continue after ``iteration`` iterations; :meth:`run` advances the sampler."""
        self._iter = iteration
