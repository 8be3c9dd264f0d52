"""Keeps what needs it in full precision while the rest of a step runs in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """``x`` in float32, or as it is where it is float64."""
    return x if x.dtype == torch.float64 else x.float()


def full_precision(function: Callable) -> Callable:
    """Runs ``function`` without automatic mixed precision, its tensors made :func:`wide`. Its first argument is a tensor."""

    @wraps(function)
    def run(*given, **named):
        floating = lambda x: wide(x) if isinstance(x, Tensor) and x.is_floating_point() else x
        device = next(x for x in given if isinstance(x, Tensor)).device.type
        with torch.autocast("cpu" if device == "meta" else device, enabled=False):  # a count on meta tensors follows the CPU's switch
            return function(*map(floating, given), **{name: floating(x) for name, x in named.items()})

    return run
