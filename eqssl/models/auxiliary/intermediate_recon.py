"""Reconstruction of intermediate transformed images (arXiv 2503.18753, AAAI-26): the core method."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from eqssl.augment.paths import TransformPath, build_path
from eqssl.models.auxiliary.base import AuxiliaryTask, ModelInfo, build_decoder
from eqssl.models.step import Step
from eqssl.registry import MODELS
from eqssl.structures import Views
from eqssl.utils.errors import UserError
from eqssl.utils.precision import float32_island, precise


def path_targets(path: TransformPath, images: Tensor, theta: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The end of the path and equidistant images on the way.

    Args:
        path: the transformation g.
        images: u, ``[B, C, H, W]``.
        theta: ``[B, P]``.
        count: K.

    Returns:
        v2 = g_theta(u) ``[B, C, H, W]`` and u_k = g_{k theta / (K + 1)}(u), k = 1..K, ``[K, B, C, H, W]``.
    """
    between = [path.apply(images, theta, k / (count + 1)) for k in range(1, count + 1)]
    return path.apply(images, theta, 1.0), torch.stack(between)


@MODELS.register_module()
class IntermediateRecon(AuxiliaryTask):
    """K decoders reconstruct images between u and v2 = g(u) from the equivariant parts of both views.

    v1 = A1(I) is the first global crop, u = A2(I) the second, which the base method then sees as v2. No extra view and
    no extra encoder pass: the same (masked) student forward feeds both losses.
    L = 1/K sum_k mean ||D_k([z1_equi; z2_equi]) - u_k||^2, in normalized pixels, mean over pixels and batch.

    Args:
        path: config of the path g (``eqssl.SE2``, ``eqssl.Rotation``, ...), or a path.
        decoder: config of a decoder; ``in_channels``, ``grid`` and ``image_size`` are filled in.
        num_images: K (2 in the paper).
        group: the size group with the two crops.
    """

    needs_equivariant = True
    changes_views = True

    def __init__(self, path: dict | TransformPath, decoder: dict, num_images: int = 2, group: str = 'global') -> None:
        super().__init__()
        if num_images < 1:
            raise UserError(f'num_images={num_images} must be at least 1')
        self.path, self.decoder_cfg = build_path(path), decoder
        self.num_images, self.group = num_images, group

    def setup(self, name: str, info: ModelInfo) -> None:
        """Build the decoders, for features twice as wide as the equivariant part."""
        super().setup(name, info)
        assert info.equi_dims is not None
        width = 2 * info.equi_dims
        self.decoders = nn.ModuleList(
            build_decoder(self.decoder_cfg, width, name, info) for _ in range(self.num_images)
        )

    def transform_views(self, views: Views) -> None:
        """Replace the second global crop u by v2 and keep the targets."""
        self.need_two_crops(views, self.group)
        theta = self.path.sample_from_keys(views.key, self.name)
        u = views.view(self.group, 1)
        v2, targets = path_targets(self.path, u, theta, self.num_images)
        views.replace_view(self.group, 1, v2)
        views.targets[self.name] = targets
        views.params[f'theta/{self.name}'] = theta

    def reconstruct(self, step: Step) -> Tensor:
        """All reconstructions, ``[K, B, 3, S, S]``."""
        first, second = step.equivariant(self.group).split(step.views.batch_size)[:2]
        both = torch.cat([first, second], dim=-1)
        return torch.stack([decoder(both) for decoder in self.decoders])

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error in float32 over images, pixels, batch; monitored: its share of the targets' variance."""
        target = step.views.targets[self.name]
        images = self.reconstruct(step)
        with float32_island(images.device):
            error = (precise(images) - target).square().mean()
        with torch.no_grad():
            share = error.detach() / target.var(dim=(1, 3, 4), correction=0).mean()
        return error, {'unexplained': share}
