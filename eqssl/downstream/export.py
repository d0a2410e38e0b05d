"""A pre-trained backbone for other libraries, checked on the spot: what was written is read back and must agree."""

from __future__ import annotations

import copy
import datetime
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqssl.config.text import read_config_text
from eqssl.config.tree import dicts
from eqssl.downstream.backbone_file import choose, find_backbones, read_file
from eqssl.downstream.key_maps import Pairs, translate
from eqssl.downstream.pretrained import load_found
from eqssl.registry import MODELS
from eqssl.utils.errors import UserError
from eqssl.version import __version__

TOLERANCE = 1e-5
# What the config inside a file may name.
BACKBONES = ('VisionTransformer', 'ResNet', 'ResNet_CIFAR', 'ResNetV1c', 'ResNetV1d')
LAYERS = ('BN', 'SyncBN', 'GN', 'LN', 'ReLU', 'GELU', 'Conv2d')


@dataclass
class Network:
    """A backbone to be exported.

    Attributes:
        module: ViT or ResNet, in eval mode.
        config: its config.
        meta: where it comes from and what it expects, plain strings.
    """

    module: Any
    config: dict[str, Any]
    meta: dict[str, str] = field(default_factory=dict)

    @property
    def is_vit(self) -> bool:
        """ViT, or else a ResNet."""
        return hasattr(self.module, 'patch_embed')

    @property
    def state(self) -> dict[str, Tensor]:
        """Tensors without the mask token, which only pre-training needs."""
        return {k: v.detach().cpu().contiguous() for k, v in self.module.state_dict().items() if k != 'mask_token'}

    @property
    def layer_scale(self) -> bool:
        """Whether the blocks scale their outputs (DINOv2)."""
        return any(key.endswith('gamma1.weight') for key in self.state)

    @property
    def side(self) -> int:
        """Side of the images for the check."""
        return self.module.img_size[0] if self.is_vit else 64

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """ViT: ``[B, 1 + N, D]`` after the last norm; ResNet: the last map ``[B, D, h, w]``."""
        if not self.is_vit:
            return self.module(images)[-1]
        tokens = self.module(images)[0]
        return torch.cat([tokens.cls[:, None], tokens.patch], dim=1)

    def renamed(self, pairs: Pairs, target: str) -> dict[str, Tensor]:
        """The tensors under a library's names.

        Raises:
            UserError: one has no name there.
        """
        named = {}
        for key, value in self.state.items():
            name = translate(key, pairs, outward=True)
            if name is None:
                raise UserError(f"--to {target} has no place for '{key}'; use --to backbone, timm or safetensors")
            named[name] = value
        return named

    def stem(self, name: str) -> str:
        """``<name>_<date>-<hash8>``, the hash over names and bytes of all tensors."""
        digest = hashlib.sha256()
        for key, value in sorted(self.state.items()):
            digest.update(key.encode() + value.numpy().tobytes())
        return f'{name}_{self.meta["date"]}-{digest.hexdigest()[:8]}'


def build_known(backbone: dict[str, Any], checkpoint: str) -> Any:
    """A backbone from the config inside a file; a registry would import and call whatever it names.

    Raises:
        UserError: it names anything but the backbones and layers that are known here, or does not build.
    """
    for node in dicts(backbone):
        if 'type' not in node and node is not backbone:
            continue
        scope, _, short = str(node.get('type')).rpartition('.')
        if scope not in ('', 'eqssl', 'mmpretrain') or short not in (BACKBONES if node is backbone else LAYERS):
            raise UserError(
                f"checkpoint '{checkpoint}': the config inside names type={node.get('type')!r}; export builds "
                f'{", ".join(BACKBONES)} with {", ".join(LAYERS)} and nothing else'
            )
    try:
        return MODELS.build(copy.deepcopy(backbone))
    except (TypeError, ValueError, KeyError, AttributeError, AssertionError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise UserError(f"checkpoint '{checkpoint}': the config inside does not build ({reason})") from error


def open_network(checkpoint: str, branch: str | None = None) -> Network:
    """The backbone of a checkpoint of this project, built from the config inside.

    Raises:
        UserError: no checkpoint of this project, or damaged.
    """
    import mmpretrain.models  # noqa: F401  (its registry)

    content = read_file(checkpoint)
    text = content.get('meta', {}).get('cfg') if isinstance(content.get('meta'), dict) else None
    if not isinstance(text, str):
        raise UserError(f"checkpoint '{checkpoint}' has no config inside; export takes those of eqssl train")
    config = read_config_text(text).get('model')
    config = config if isinstance(config, dict) else {}
    if config.get('type') != 'eqssl.SSLPretrainer' or not isinstance(config.get('backbone'), dict):
        raise UserError(f"checkpoint '{checkpoint}' is not one of pre-training (model.type={config.get('type')})")
    backbone = {k: v for k, v in config['backbone'].items() if k != 'init_cfg'}
    module = build_known(backbone, checkpoint)
    found = choose(find_backbones(content), branch, checkpoint)
    load_found(module, found, checkpoint)
    module.eval()
    preprocessor = config.get('data_preprocessor')
    preprocessor = preprocessor if isinstance(preprocessor, dict) else {}
    meta = {
        'source': Path(checkpoint).name,
        'iteration': str(content['meta'].get('iter', '')),
        'branch': found.branch or 'student',
        'backbone': repr(backbone),
        'mean': repr(tuple(preprocessor.get('mean', (0.485, 0.456, 0.406)))),
        'std': repr(tuple(preprocessor.get('std', (0.229, 0.224, 0.225)))),
        'eqssl_version': __version__,
        'date': datetime.date.today().strftime('%Y%m%d'),
    }
    return Network(module, backbone, meta)


def check(network: Network, read_back: Callable[[Tensor], Tensor], target: str) -> float:
    """Largest difference of features between a network and what was read back, relative to their largest value.

    In float64, so that rounding does not hide what is wrong (``read_back`` takes float64 images).

    Raises:
        UserError: they differ by more than 1e-5.
    """
    images = torch.rand(2, 3, network.side, network.side, generator=torch.Generator().manual_seed(0)).double()
    exact = Network(copy.deepcopy(network.module).double(), network.config)
    with torch.no_grad():
        want, got = exact.features(images), read_back(images)
    if got.shape != want.shape:
        raise UserError(f'--to {target}: features read back are {tuple(got.shape)}, not {tuple(want.shape)}')
    difference = ((got - want).abs().max() / want.abs().max()).item()
    if not difference <= TOLERANCE:
        raise UserError(f'--to {target}: features differ by {difference:.1e} after reading back; nothing was kept')
    return difference
