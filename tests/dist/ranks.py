"""Trains small models for a few steps on any number of gloo ranks and stores what happened."""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as torch_dist
import torch.multiprocessing as mp

GLOBAL_BATCH = 8
STEPS = 3


def train(config: dict[str, Any], local: bool, rank: int, world: int, accumulate: int) -> dict[str, Any]:
    """``STEPS`` optimizer steps on positions rank, rank + world, ...; the state after them.

    Returns:
        ``losses`` (this rank's, one per forward pass), ``gradient`` of the first step, ``state`` (model) at the end.
    """
    from eqssl.models.layers import synchronize
    from eqssl.utils.progress import Progress
    from tests.helpers import batch, build_model

    torch.set_num_threads(1)
    model = synchronize(build_model(config)).double()  # in float32, three steps through batch norms differ by noise
    wrapped = torch.nn.parallel.DistributedDataParallel(model, broadcast_buffers=False) if world > 1 else model
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    losses, gradient, per_rank = [], {}, GLOBAL_BATCH // world
    for step in range(STEPS):
        model.progress = Progress(step, STEPS, 1)
        frozen = model.frozen_parameters()
        for part in range(accumulate):
            start = (step * accumulate + part) * GLOBAL_BATCH + rank
            data = batch(per_rank, start, step=world, local=local)
            views = model.data_preprocessor(data, True)['views']
            views.crops = {name: crops.double() for name, crops in views.crops.items()}
            out = wrapped(views, mode='loss')
            loss = torch.stack([v for k, v in out.items() if 'loss' in k]).sum()
            losses.append(loss.item())
            (loss / accumulate).backward()
        for parameter in frozen:
            parameter.grad = None
        if step == 0:
            gradient = {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
        optimizer.zero_grad()
        model.after_step(torch.tensor(True))
    return {'losses': losses, 'gradient': gradient, 'state': model.state_dict()}


def _worker(rank: int, world: int, folder: str, cases: dict[str, tuple]) -> None:
    from tests.conftest import register_all

    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
    store = torch_dist.FileStore(str(Path(folder) / 'store'), world)
    torch_dist.init_process_group('gloo', store=store, rank=rank, world_size=world, timeout=timedelta(seconds=120))
    register_all()
    for name, (config, local, accumulate) in cases.items():
        skip = name.startswith('skip')
        result = skip_when_one_rank_is_bad(config, rank) if skip else train(config, local, rank, world, accumulate)
        torch.save(result, Path(folder) / f'{name}_{rank}.pt')
    torch_dist.barrier()
    torch_dist.destroy_process_group()


def skip_when_one_rank_is_bad(config: dict[str, Any], rank: int) -> dict[str, Any]:
    """A good step, then one in which rank 1 alone has a NaN in its images.

    Returns:
        names of tensors of the model that the second step changed, and whether the step was called finite.
    """
    from eqssl.engine import OptimWrapper
    from tests.helpers import batch, build_model

    model = build_model(config)
    wrapped = torch.nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05, fused=True))
    before: dict[str, torch.Tensor] = {}
    for step in range(2):
        before = {k: v.clone() for k, v in model.state_dict().items()}
        data = batch(4, 8 * step + rank, step=2, local=False)
        if step == 1 and rank == 1:
            data['photo']['global'][0, 0, 0] = float('nan')
        out = wrapped(model.data_preprocessor(data, True)['views'], mode='loss')
        wrapper.update_params(torch.stack([v for k, v in out.items() if 'loss' in k]).sum())
        model.after_step(wrapper.finite)
    changed = [k for k, v in model.state_dict().items() if not torch.equal(v, before[k])]
    return {'changed': changed, 'finite': bool(wrapper.finite)}


def on_two_ranks(cases: dict[str, tuple[dict[str, Any], bool, int]]) -> dict[str, list[dict[str, Any]]]:
    """Every case (config, local crops, accumulation) on two ranks of one pair of processes: name -> result per rank."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_worker, (2, folder, cases), nprocs=2)
        return {name: [torch.load(Path(folder) / f'{name}_{rank}.pt') for rank in range(2)] for name in cases}
