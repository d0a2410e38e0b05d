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


def dataset(seed: int = 0, count: int = 64, local: bool = True, masks: bool = True) -> Any:
    """Two 16-px crops with masks and two 8-px crops."""
    from eqssl.datasets import MultiViewDataset

    views = copy.deepcopy(VIEWS)
    if not local:
        views['views'].pop()
    return MultiViewDataset(Images(count), views, dict(type='eqssl.PatchMask', grid=4) if masks else None, seed=seed)


def batch(size: int = 6, start: int = 0, seed: int = 0, step: int = 1, **data: Any) -> dict[str, Any]:
    """``size`` samples at positions ``start``, ``start + step``, ...; other arguments as :func:`dataset`."""
    from eqssl.datasets import collate_views

    source = dataset(seed, **data)
    return collate_views([source[(p % len(source), p)] for p in range(start, start + size * step, step)])


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


RESNET = dict(type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=8, base_channels=8)
_MLP = dict(hidden=24, out_dim=12)
_DINO = dict(hidden=24, bottleneck=12, out_dim=20)
# name -> (head, reads local crops, backbones that the literature pairs it with)
BASES: dict[str, tuple[dict[str, Any], bool, tuple[str, ...]]] = {
    'dino': (dict(type='eqssl.DINOHead', **_DINO), True, ('vit', 'resnet')),
    'dino_sinkhorn': (dict(type='eqssl.DINOHead', centering='sinkhorn', **_DINO), True, ('vit', 'resnet')),
    'ibot': (dict(type='eqssl.IBOTHead', **_DINO), True, ('vit',)),
    'dinov2': (dict(type='eqssl.DINOv2Head', shared=True, **_DINO), True, ('vit',)),
    'dinov2_long': (dict(type='eqssl.DINOv2Head', shared=False, centering='sinkhorn', **_DINO), True, ('vit',)),
    'byol': (dict(type='eqssl.BYOLHead', **_MLP), False, ('vit', 'resnet')),
    'simclr': (dict(type='eqssl.SimCLRHead', **_MLP), False, ('vit', 'resnet')),
    'swav': (dict(type='eqssl.SwAVHead', prototypes=7, freeze_prototypes_iters=0, **_MLP), True, ('vit', 'resnet')),
    'swav_queue': (
        dict(
            type='eqssl.SwAVHead', prototypes=7, queue_length=16, queue_start_epoch=0, freeze_prototypes_iters=1, **_MLP
        ),
        True, ('vit', 'resnet'),
    ),
    'simsiam': (dict(type='eqssl.SimSiamHead', predictor_hidden=8, **_MLP), False, ('vit', 'resnet')),
    'mocov3': (dict(type='eqssl.MoCoV3Head', **_MLP), False, ('vit', 'resnet')),
    'vicreg': (dict(type='eqssl.VICRegHead', **_MLP), False, ('vit', 'resnet')),
    'barlowtwins': (dict(type='eqssl.BarlowTwinsHead', scale=1.0, **_MLP), False, ('vit', 'resnet')),
    'supcon': (dict(type='eqssl.SupConHead', label_noise=0.2, num_classes=3, **_MLP), False, ('vit', 'resnet')),
    'rotnet': (dict(type='eqssl.RotNetHead', layers=2, hidden=24), False, ('vit', 'resnet')),
}  # fmt: skip
PAIRS = [(base, backbone) for base, (_, _, backbones) in BASES.items() for backbone in backbones]


def base_config(base: str, backbone: str = 'vit') -> dict[str, Any]:
    """A base method of :data:`BASES` on a tiny ViT or ResNet."""
    vit = dict(type='eqssl.VisionTransformer', arch=dict(VIT), img_size=16, patch_size=4)
    return dict(
        type='eqssl.SSLPretrainer',
        backbone=vit if backbone == 'vit' else dict(RESNET),
        head=copy.deepcopy(BASES[base][0]),
    )


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


def trainer(model: Any) -> Any:
    """SGD with momentum in the project's wrapper."""
    from eqssl.engine import OptimWrapper

    parameters = [p for p in model.parameters() if p.requires_grad]
    return OptimWrapper(torch.optim.SGD(parameters, lr=0.05, momentum=0.9, fused=True))
