"""Reconstruction of one view from the cross-attention of two (arXiv 2412.03314)."""

from __future__ import annotations

import math

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

TARGETS = {'v1': (0,), 'v2': (1,), 'both': (0, 1)}


def cross_attend(queries: Tensor, keys: Tensor, values: Tensor, temperature: float) -> Tensor:
    """softmax(Q K^T / temperature) V, one head, softmax in float32.

    Args:
        queries: ``[B, N, d]``.
        keys: ``[B, M, d]``.
        values: ``[B, M, e]``.
        temperature: sqrt(d) in the usual form.

    Returns:
        ``[B, N, e]``.
    """
    with float32_island(queries.device):
        weight = torch.softmax(precise(queries) @ precise(keys).transpose(1, 2) / temperature, dim=-1)
        return (weight @ precise(values)).to(values.dtype)


@MODELS.register_module()
class CrossAttnRecon(AuxiliaryTask):
    """A decoder draws a view from features that its queries fetch from the other view.

    The equivariant features of the target view ask (Q: where is what), those of the other one answer (K, V: what it
    looks like): ca = softmax(Q K^T / sqrt(d)) V, L = mean ||D(ca) - v||^2 in normalized pixels. The body of the paper
    is not public; this is its abstract's form. No transformation parameter enters.

    Args:
        decoder: config of a decoder; ``in_channels``, ``grid`` and ``image_size`` are filled in.
        target: the view that is drawn: 'v1', 'v2' (the queries' side) or 'both' (mean of the two losses, one decoder).
        learnable: linear maps for Q, K and V (without bias); False is free of parameters.
        residual: add the queries' own features to the result.
        temperature: of the softmax; None is sqrt(d).
        path: config of a path g; the second crop u becomes v2 = g(u), as in :class:`IntermediateRecon`. None keeps u.
        group: the size group with the two crops.
    """

    needs_equivariant = True

    def __init__(
        self,
        decoder: dict,
        target: str = 'v2',
        learnable: bool = True,
        residual: bool = False,
        temperature: float | None = None,
        path: dict | TransformPath | None = None,
        group: str = 'global',
    ) -> None:
        super().__init__()
        if target not in TARGETS:
            raise UserError(f"target='{target}' is none of {', '.join(TARGETS)}")
        if temperature is not None and temperature <= 0:
            raise UserError(f'temperature={temperature} must be positive')
        self.decoder_cfg, self.targets, self.learnable = decoder, TARGETS[target], learnable
        self.residual, self.temperature, self.group = residual, temperature, group
        self.path = None if path is None else build_path(path)
        self.changes_views = path is not None

    def setup(self, name: str, info: ModelInfo) -> None:
        """Build projections and decoder."""
        super().setup(name, info)
        width = info.equi_dims
        assert width is not None
        self.decoder = build_decoder(self.decoder_cfg, width, name, info)
        maps = [nn.Linear(width, width, bias=False) if self.learnable else nn.Identity() for _ in range(3)]
        self.query, self.key, self.value = maps
        self.temperature = self.temperature or math.sqrt(width)

    def transform_views(self, views: Views) -> None:
        """Move the second crop along the path, where there is one."""
        self.need_two_crops(views, self.group)
        if self.path is not None:
            theta = self.path.sample_from_keys(views.key, self.name)
            views.replace_view(self.group, 1, self.path.apply(views.view(self.group, 1), theta, 1.0))
            views.params[f'theta/{self.name}'] = theta

    def reconstruct(self, step: Step) -> Tensor:
        """The drawn views, ``[T, B, 3, S, S]`` in the order of ``targets``."""
        features = step.equivariant(self.group).split(step.views.batch_size)
        images = []
        for target in self.targets:
            own, other = features[target], features[1 - target]
            assert self.temperature is not None
            fetched = cross_attend(self.query(own), self.key(other), self.value(other), self.temperature)
            images.append(self.decoder(fetched + own if self.residual else fetched))
        return torch.stack(images)

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error in float32; monitored: its share of the targets' variance."""
        target = torch.stack([step.views.view(self.group, number) for number in self.targets])
        images = self.reconstruct(step)
        with float32_island(images.device):
            error = (precise(images) - target).square().mean()
        share = error.detach() / target.var(dim=(1, 3, 4), correction=0).mean()
        return error, {'unexplained': share}
