"""mmengine's Runner for fine-tuning: where a run begins, and nothing of a file executed or half-loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from eqssl.checkpoint.store import damaged_archive, load_strictly, read_checkpoint
from eqssl.config.difference import differences
from eqssl.engine.resume import find_checkpoint
from eqssl.engine.work_dir import SAVED
from eqssl.utils.errors import UserError


def find_beginning(cfg: Config) -> str | None:
    """The whole model that a run continues (``resume``) or starts from (``load_from``); None: there is none.

    ``--resume`` takes the newest whole checkpoint of the work dir (mmengine follows ``last_checkpoint``: a path that is
    wrong once the work dir was moved, a file that may be cut off). In a new work dir the run begins at the backbone's
    checkpoint.

    Raises:
        UserError: there are checkpoints, and all are cut off or damaged.
    """
    if cfg.get('resume'):
        found = find_checkpoint(cfg.work_dir, cfg.get('resume_file'), SAVED, damaged_archive)
        cfg.load_from = cfg.get('load_from') if found is None else str(found)
        cfg.resume = found is not None
    return cfg.get('load_from')


class FineTuneRunner(Runner):
    """mmengine's Runner but for reading checkpoints.

    mmengine's own reader executes pickles, its resume executes the text of a config in the file, and both take what
    fits. Here a file is read as data, and fills the whole model or is refused. The averages of the log, which are
    objects, begin anew.
    """

    def _name_changes(self, stored: object) -> None:
        """Keys that differ from the config in the checkpoint, one line each."""
        for change in (differences(stored, self.cfg) if isinstance(stored, str) else None) or []:
            kept = change.under('optim_wrapper.optimizer', 'optim_wrapper.paramwise_cfg', 'param_scheduler')
            fate = 'stays as in the checkpoint (mmengine restores it)' if kept else 'applied from here on'
            self.logger.warning(f'--resume: {change}: {fate}')

    def load_checkpoint(
        self, filename: str, map_location: str | Callable = 'cpu', strict: bool = True, revise_keys: Any = None
    ) -> dict:
        """Read a file and load its weights; the other arguments are mmengine's, and change nothing.

        Raises:
            UserError: it cannot be read as data, does not fit the model, or holds no training state to resume.
        """
        checkpoint = read_checkpoint(filename, leave_out=True)
        if self._resume:
            missing = [key for key in ('meta', 'message_hub', 'optimizer') if not isinstance(checkpoint.get(key), dict)]
            if missing:
                raise UserError(
                    f"checkpoint '{filename}' holds no training to resume (no {missing[0]}); --cfg-options "
                    'load_from=FILE starts from its weights'
                )
            checkpoint['meta'].pop('config', None)
            self._name_changes(checkpoint['meta'].get('cfg'))
            checkpoint['message_hub']['log_scalars'] = {}
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        count = load_strictly(model, checkpoint.get('state_dict', checkpoint), filename)
        self._has_loaded = True
        self.logger.info(f"loaded {count} of {count} tensors from '{filename}'")
        return checkpoint
