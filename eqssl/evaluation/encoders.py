"""Networks to evaluate: a checkpoint's teacher or student, and the controls beside them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from eqssl.evaluation.feature_store import Encoder
from eqssl.registry import MODELS
from eqssl.utils.modes import evaluating

if TYPE_CHECKING:
    from eqssl.models.pretrainer import SSLPretrainer


def encoder_of(model: SSLPretrainer, branch: str = 'teacher') -> Encoder:
    """Images in [0, 1] to features of a pretrainer.

    Args:
        model: an SSLPretrainer (not wrapped).
        branch: 'teacher' (where there is one) or 'student'.
    """
    preprocessor = model.data_preprocessor

    def encode(images: Tensor) -> dict[str, Tensor]:
        images = images.to(preprocessor.mean.device)
        with evaluating(model):
            return model.predict(preprocessor.normalize(images), branch)

    return encode


def random_init(model_config: dict, seed: int) -> Any:
    """A model with fresh weights, without touching the global random state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS.build(copy.deepcopy(model_config))
        model.init_weights()
    return model
