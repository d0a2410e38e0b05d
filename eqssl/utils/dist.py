"""The few collectives that losses and hooks need; counted, and exact no-ops on one rank."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import torch
import torch.distributed as torch_dist
from mmengine.dist import get_dist_info
from torch import Tensor

from eqssl.utils import counters
from eqssl.utils.errors import UserError

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx


def world_size() -> int:
    """Number of ranks."""
    return get_dist_info()[1]


def rank() -> int:
    """Number of this rank."""
    return get_dist_info()[0]


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum over ranks, without gradient."""
    if world_size() > 1:
        counters.count('collectives')
        torch_dist.all_reduce(x)
    return x


def all_reduce_max(x: Tensor) -> Tensor:
    """Maximum over ranks, without gradient."""
    if world_size() > 1:
        counters.count('collectives')
        torch_dist.all_reduce(x, torch_dist.ReduceOp.MAX)
    return x


@torch.no_grad()
def gather(x: Tensor) -> Tensor:
    """``[n, ...]`` of every rank to ``[world * n, ...]``, without gradient; n must be the same on every rank."""
    if world_size() == 1:
        return x.detach()
    counters.count('collectives')
    x = x.contiguous()
    out = x.new_empty((world_size() * len(x), *x.shape[1:]))
    torch_dist.all_gather_into_tensor(out, x)
    return out


class _GatherWithGradient(torch.autograd.Function):
    """Backward sums every rank's gradient of the rows that came from this rank (reduce-scatter)."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        return gather(x)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:  # type: ignore[override]
        counters.count('collectives')
        grad = grad.contiguous()
        out = grad.new_empty((len(grad) // world_size(), *grad.shape[1:]))
        torch_dist.reduce_scatter_tensor(out, grad)
        return out


def gather_with_gradient(x: Tensor) -> Tensor:
    """As :func:`gather`; with DDP's mean over ranks the gradient is that of one rank with the whole batch."""
    return x if world_size() == 1 else _GatherWithGradient.apply(x)


class _SumWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        return all_reduce_sum(x.clone())

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:  # type: ignore[override]
        return all_reduce_sum(grad.clone())


def sum_with_gradient(x: Tensor) -> Tensor:
    """Sum over ranks; the backward pass sums the ranks' gradients too (see :func:`gather_with_gradient`)."""
    return x if world_size() == 1 else _SumWithGradient.apply(x)


def gather_objects(value: Any) -> list[Any]:
    """Every rank's (small) object, on every rank."""
    if world_size() == 1:
        return [value]
    counters.count('collectives')
    gathered: list[Any] = [None] * world_size()
    torch_dist.all_gather_object(gathered, value)
    return gathered


def broadcast_object(value: Any) -> Any:
    """Rank 0's object, on every rank."""
    if world_size() == 1:
        return value
    box = [value]
    torch_dist.broadcast_object_list(box, src=0)
    return box[0]


def rank_0_decides(decide: Callable[[], Any]) -> Any:
    """What a function returns or refuses on rank 0, on every rank (one file system, one answer)."""
    answer: Any = None
    if rank() == 0:
        try:
            answer = decide()
        except UserError as error:
            answer = error
    answer = broadcast_object(answer)
    if isinstance(answer, UserError):
        raise answer
    return answer


def barrier() -> None:
    """Wait for every rank."""
    if world_size() > 1:
        torch_dist.barrier()


def init_from_launcher(launcher: str, timeout_s: float = 1800.0) -> None:
    """Create the process group before the Runner does: mmengine's launchers call CUDA even for gloo.

    Args:
        launcher: 'pytorch' (torchrun sets RANK, WORLD_SIZE, ...) or 'slurm' (srun sets SLURM_*).
        timeout_s: a rank that waits longer in a collective gives up.
    """
    if launcher == 'none' or torch_dist.is_initialized():
        return
    adopt_launcher(launcher)
    missing = [k for k in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT') if k not in os.environ]
    if missing:
        raise UserError(
            f'--launcher {launcher}: {", ".join(missing)} not set; use torchrun, tools/dist_train.sh or '
            'tools/slurm_train.sh'
        )
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    torch_dist.init_process_group('cpu:gloo,cuda:nccl' if cuda else 'gloo', timeout=timedelta(seconds=timeout_s))


def leave() -> None:
    """Wait for every rank and end the process group: a rank that exits with it, while others still work, may abort."""
    if torch_dist.is_initialized():
        torch_dist.barrier()
        torch_dist.destroy_process_group()


def end_rank(code: int) -> NoReturn:
    """End a launched process after :func:`leave`: exit handlers, flushed streams, no taking down of the interpreter.

    Threads of torch that outlive the group abort that now and then (SIGABRT, on a busy machine), and torchrun then
    calls a finished job failed.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def adopt_launcher(launcher: str, local_rank: int = 0) -> None:
    """The launcher's environment as torchrun's, before anything asks for this rank's device.

    Args:
        launcher: 'none', 'pytorch' or 'slurm'.
        local_rank: of old launchers that give it as a flag.
    """
    if launcher == 'slurm':
        _slurm_to_torchrun()
    elif launcher == 'pytorch':
        os.environ.setdefault('LOCAL_RANK', str(local_rank))


def _slurm_to_torchrun() -> None:
    """Environment of torchrun from that of srun; the port comes from the job id, so that jobs on one node differ."""
    env = os.environ
    if 'SLURM_PROCID' not in env:
        raise UserError('--launcher slurm outside of srun (SLURM_PROCID is not set); use tools/slurm_train.sh')
    env['RANK'], env['WORLD_SIZE'] = env['SLURM_PROCID'], env['SLURM_NTASKS']
    env['LOCAL_RANK'] = env.get('SLURM_LOCALID', '0')
    env.setdefault('MASTER_PORT', str(20000 + int(env.get('SLURM_JOB_ID', '0')) % 20000))
    if 'MASTER_ADDR' not in env:
        raise UserError('--launcher slurm: MASTER_ADDR is not set; tools/slurm_train.sh sets it to the first node')
