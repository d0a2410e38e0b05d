"""Small models and batches for tests."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

VIT = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)


class Images:
    """A source of random images in memory."""

    classes = None

    def __init__(self, count: int = 64, size: int = 36, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        low = rng.integers(0, 255, (count, 6, 6, 3), dtype=np.uint8)
        self.images = low.repeat(size // 6, 1).repeat(size // 6, 2)

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int) -> np.ndarray:
        return self.images[index]

    def label(self, index: int) -> int:
        return index % 3

    def name(self, index: int) -> str:
        return f'image {index}'


VIEWS = dict(
    type='eqssl.MultiCrop',
    views=[
        dict(size=16, group='global', blur_prob=1.0),
        dict(size=16, group='global', solarize_prob=0.5),
        dict(size=8, num=2, scale=(0.1, 0.4), group='local'),
    ],
)


def dataset(seed: int = 0, count: int = 64) -> Any:
    """Two 16-px and two 8-px crops with masks."""
    from eqssl.datasets import MultiViewDataset

    return MultiViewDataset(Images(count), copy.deepcopy(VIEWS), dict(type='eqssl.PatchMask', grid=4), seed=seed)


def batch(size: int = 6, start: int = 0, seed: int = 0) -> dict[str, Any]:
    """Positions ``start`` to ``start + size``."""
    from eqssl.datasets import collate_views

    data = dataset(seed)
    return collate_views([data[(p % len(data), p)] for p in range(start, start + size)])


def model_config(recon: bool = True, **head: Any) -> dict[str, Any]:
    """iBOT on a tiny ViT, with or without intermediate reconstruction."""
    config: dict[str, Any] = dict(
        type='eqssl.SSLPretrainer',
        backbone=dict(type='eqssl.VisionTransformer', arch=dict(VIT), img_size=16, patch_size=4),
        head={
            **dict(type='eqssl.IBOTHead', in_channels=32, out_dim=24, hidden=32, bottleneck=16, norm_last_layer=False),
            **head,
        },
    )
    if recon:
        config['neck'] = dict(type='eqssl.SplitNeck', in_channels=32, out_channels=40, equi_dims=16)
        config['auxiliary'] = dict(
            recon=dict(
                type='eqssl.IntermediateRecon',
                weight=1.0,
                path=dict(type='eqssl.SE2'),
                decoder=dict(type='eqssl.ReconDecoder', width=16, channels=(16, 8, 8)),
            )
        )
    return config


def build_model(config: dict[str, Any] | None = None, seed: int = 0) -> Any:
    """A model with seeded weights and a moved teacher, in train mode."""
    from eqssl.registry import MODELS

    torch.manual_seed(seed)
    model = MODELS.build(copy.deepcopy(config or model_config()))
    model.init_weights()
    return model.train()


def total_loss(model: Any, data: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Sum of the losses and all values of one batch."""
    out = model.loss(model.data_preprocessor(data, True)['views'])
    return torch.stack([v for k, v in out.items() if 'loss' in k]).sum(), out
