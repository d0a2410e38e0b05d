"""What a config's training step costs, counted without running it (meta tensors: no memory, no time)."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from eqssl.datasets import collate_views
from eqssl.registry import DATASETS, MODELS, TRANSFORMS
from eqssl.utils.counters import StepCounts, count_step
from eqssl.utils.meta import to_meta, without_memory
from eqssl.utils.tables import format_table

if TYPE_CHECKING:
    from eqssl.models.pretrainer import SSLPretrainer


class _Blank:
    """A source of one black image; profiling needs shapes only."""

    classes = None

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return 1 << 30

    def load(self, index: int) -> Any:
        return np.zeros((self.size, self.size, 3), np.uint8)

    def label(self, index: int) -> int:
        return 0

    def name(self, index: int) -> str:
        return 'blank'


def synthetic_batch(dataset_config: dict, batch: int) -> dict[str, Any]:
    """A batch of black images through the config's own views, masks and collate."""
    config = {**copy.deepcopy(dict(dataset_config)), 'source': _Blank(256), 'cut': 'worker'}
    dataset = DATASETS.build(config)
    return collate_views([dataset[(i, i)] for i in range(batch)])


def profile_config(cfg: Config, batch: int = 20) -> tuple[StepCounts, Any]:
    """Counts of one step of a config's model on the meta device, and the model (``batch`` large enough for shares)."""
    model_config = copy.deepcopy(cfg.model)
    with without_memory():
        model = MODELS.build(model_config)
    model.train()
    model.data_preprocessor._device = torch.device('meta')
    data = to_meta(synthetic_batch(cfg.train_dataloader.dataset, batch))

    def loss() -> Tensor:
        views = model.data_preprocessor(data, True)['views']
        losses = model.loss(views)
        return torch.stack([value for key, value in losses.items() if 'loss' in key]).sum()

    parameters = list(model.parameters())
    return count_step(loss, parameters, batch), model


def base_config(cfg: Config) -> Config:
    """The same config without auxiliary tasks: the floor. The head gets back the columns that the neck took."""
    base = copy.deepcopy(cfg)
    neck = base.model.pop('neck', None)
    base.model.pop('auxiliary', None)
    if neck is not None and base.model.head.get('out_dim') == neck['out_channels'] - neck['equi_dims']:
        base.model.head['out_dim'] = neck['out_channels']
    return base


def memory_estimate(counts: StepCounts, model: SSLPretrainer, batch: int, precision: str) -> dict[str, float]:
    """GiB per GPU at a batch: weights, gradients and Adam's moments in float32, teacher, and what backward keeps.

    Counted in float32; bfloat16 autocast keeps roughly half of the activations (an estimate, not a measurement).
    """
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    state = 4 * (total + 3 * trainable) / 2**30
    activations = counts.saved_bytes_per_image * batch / 2**30 * (0.5 if precision != 'fp32' else 1.0)
    return {'state': state, 'activations': activations, 'total': state + activations}


def report(cfg: Config) -> dict[str, Any]:
    """Counts of a step beside the base method's, parameters, memory."""
    counts, model = profile_config(cfg)
    base, _ = profile_config(base_config(cfg))
    batch = cfg.train_dataloader.get('batch_size', 1)
    precision = cfg.optim_wrapper.get('precision', 'fp32')
    return {
        'step': asdict(counts),
        'base': asdict(base),
        'extra_flops_percent': 100 * (counts.flops_per_image / base.flops_per_image - 1),
        'parameters': {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()},
        'batch_size': batch,
        'precision': precision,
        'memory_gib': memory_estimate(counts, model, batch, precision),
    }


def sizes_of_views(cfg: Config) -> dict[str, tuple[int, int]]:
    """Size group -> (number of views, side)."""
    views = TRANSFORMS.build(cfg.train_dataloader.dataset.views)
    return {name: (len(specs), specs[0].size) for name, specs in views.groups.items()}


def report_lines(cfg: Config, result: dict[str, Any]) -> list[str]:
    """A report (see :func:`report`) as text."""
    step, base = result['step'], result['base']
    rows = [
        {
            'per step': 'GFLOP per image',
            'this config': step['flops_per_image'] / 1e9,
            'base': base['flops_per_image'] / 1e9,
        },
        {
            'per step': 'MB kept for backward per image',
            'this config': step['saved_bytes_per_image'] / 1e6,
            'base': base['saved_bytes_per_image'] / 1e6,
        },
    ]
    for key in ('backbone_calls', 'host_reads', 'collectives', 'aten_calls'):
        rows.append({'per step': key.replace('_', ' '), 'this config': step[key], 'base': base[key]})
    lines = [format_table(rows)]
    lines.append(f'extra FLOPs over the base: {result["extra_flops_percent"]:.1f} %')
    views = ', '.join(f'{n} x {size} px ({name})' for name, (n, size) in sizes_of_views(cfg).items())
    lines.append(f'views: {views}')
    lines.append('parameters: ' + ', '.join(f'{k} {v / 1e6:.1f} M' for k, v in result['parameters'].items() if v))
    memory = result['memory_gib']
    lines.append(
        f'memory estimate per GPU at batch {result["batch_size"]}, {result["precision"]}: {memory["total"]:.1f} GiB '
        f'(weights and optimizer {memory["state"]:.1f}, kept for backward {memory["activations"]:.1f})'
    )
    return lines
