"""Sums and gathers over processes that gradients flow through.

Data-parallel training averages the gradients of its processes. A loss that is the same function of the joined batch on every
process, built from these operations, therefore has exactly the gradient that one process with the whole batch would have.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor


def helper() -> bool:
    """This process repeats the command of the first one, to train beside it; judging and writing are left to that one."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) != "0"


def world() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if world() > 1 else 0


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad.chunk(world())[rank()]


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
