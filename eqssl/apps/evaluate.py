"""Frozen features of a checkpoint, measured."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config

from eqssl.apps.open_config import open_config
from eqssl.apps.record import evaluation_record
from eqssl.checkpoint.store import load_strictly, read_checkpoint
from eqssl.config.options import Options
from eqssl.config.reader import read_config
from eqssl.evaluation.evaluation import DEFAULT_TASKS, Evaluation
from eqssl.experiment import OWN, Experiment, fingerprint
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError


def evaluation_config(cfg: Config) -> dict[str, Any]:
    """The config key ``evaluation``, or a default on the training images: every fifth image is a test image."""
    if cfg.get('evaluation') is not None:
        return dict(cfg.evaluation)
    source = dict(cfg.train_dataloader.dataset.source)
    size = cfg.model.backbone.get('img_size', 224)
    return {
        'train': {**source, 'part': 'train'},
        'test': {**source, 'part': 'test'},
        'size': size,
        'tasks': DEFAULT_TASKS,
    }


def load_model(cfg: Config, checkpoint: str) -> Any:
    """The model of a config with the weights of a checkpoint of this project, strictly."""
    model = MODELS.build(cfg.model)
    state = read_checkpoint(checkpoint)
    if 'state_dict' not in state:
        raise UserError(f"checkpoint '{checkpoint}' has no state_dict")
    load_strictly(model, state['state_dict'], checkpoint)
    return model.to('cuda' if torch.cuda.is_available() else 'cpu').eval()


def evaluate_checkpoint(
    config: str,
    checkpoint: str,
    options: Options | None = None,
    tasks: list[str] | None = None,
    branch: str | None = None,
    controls: bool = False,
) -> Experiment:
    """What a checkpoint's features measure and, on request, its controls'."""
    mark = fingerprint(read_config(config, options))
    cfg = open_config(config, options)
    settings = evaluation_config(cfg)
    if branch is not None:
        settings['branch'] = branch
    evaluation = Evaluation.from_settings(settings)
    evaluation.select(tasks)
    evaluation.check()
    model = load_model(cfg, checkpoint)
    results = evaluation.controls(cfg.model, cfg.randomness.seed) if controls else {}
    results[OWN] = evaluation.run(model)
    return evaluation_record(cfg, config, mark, checkpoint, evaluation.sources['test'], results)
