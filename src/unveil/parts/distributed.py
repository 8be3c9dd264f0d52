"""Sums and gathers over processes that gradients flow through.

Data-parallel training averages the gradients of its processes. A loss that is the same function of the joined batch on every
process, built from these operations, therefore has exactly the gradient that one process with the whole batch would have.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


def helper() -> bool:
    """This process repeats the command of the first one, to train beside it; judging and writing are left to that one."""
    if "RANK" in os.environ:  # torchrun numbers its processes by itself, also where Slurm has started it on every machine
        return os.environ["RANK"] != "0"
    return any(os.environ.get(name, "0") != "0" for name in ("SLURM_PROCID", "NODE_RANK", "LOCAL_RANK"))


def launched() -> tuple[int, int] | None:
    """Processes on each machine, and machines, that torchrun or Slurm has started; None where this command starts its own."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        each = int(os.environ["LOCAL_WORLD_SIZE"])
        return each, int(os.environ["WORLD_SIZE"]) // each
    if "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        machines = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ.get("SLURM_NTASKS_PER_NODE", int(os.environ["SLURM_NTASKS"]) // machines)), machines
    return None


_pretended = 0  # number of processes that a step is counted for


@contextmanager
def pretended(count: int) -> Iterator[None]:
    """While it is open, a step that is only counted is one of ``count`` processes; nothing is sent."""
    global _pretended
    _pretended = count
    try:
        yield
    finally:
        _pretended = 0


def world() -> int:
    """Number of processes."""
    if _pretended:
        return _pretended
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if world() > 1 and not _pretended else 0


def _all_reduce(x: Tensor) -> Tensor:
    if not _pretended:
        dist.all_reduce(x)
    return x


def any_of(*flags: bool) -> list[bool]:
    """Each flag, true where it is on any process: what processes must decide alike, such as when to stop."""
    if world() == 1:
        return list(flags)
    told = torch.tensor(flags, dtype=torch.int32, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return [bool(flag) for flag in told.tolist()]


def whole(x: Tensor) -> Tensor:
    """``x`` put together from its shards, for which every process must call this; or as it is, where it has none."""
    return x.full_tensor() if hasattr(x, "full_tensor") else x


def held(x: Tensor) -> Tensor:
    """What this process holds of ``x``."""
    return x.to_local() if hasattr(x, "to_local") else x


def cut_like(x: Tensor, other: Tensor) -> Tensor:
    """A whole ``x``, equal on every process, in shards as those of ``other``, or as it is, where that has none; nothing is sent."""
    if not hasattr(other, "full_tensor"):
        return x
    from torch.distributed.tensor import distribute_tensor
    return distribute_tensor(x, other.device_mesh, other.placements, src_data_rank=None)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return _all_reduce(x.clone())

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return _all_reduce(grad.contiguous().clone())


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        parts = [torch.zeros_like(x) for _ in range(world())]
        if not _pretended:
            dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return _all_reduce(grad.contiguous().clone()).chunk(world())[rank()]


def global_sum(x: Tensor) -> Tensor:
    """Sum of ``x`` over processes, on every process."""
    return x if world() == 1 else _Sum.apply(x)


def global_mean(total: Tensor, count: Tensor | float) -> Tensor:
    """Mean over everything that all processes hold: the sum of ``total`` over the sum of ``count``, however ragged."""
    if world() == 1:
        return total / count
    count = torch.as_tensor(count, dtype=total.dtype, device=total.device)
    return _Sum.apply(total) / _Sum.apply(count.detach())


def gather(x: Tensor) -> Tensor:
    """Rows of all processes, in order of process; equal counts on each."""
    return x if world() == 1 else _Gather.apply(x)
