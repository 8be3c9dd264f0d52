"""Numbers that a step needs on its device."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def constant(values: tuple, like: Tensor) -> Tensor:
    """``values``, nested tuples of numbers, with the type and on the device of ``like``.

    They go to a GPU once: the host would wait for all that the device has yet to do at every copy of fresh numbers.
    """
    return _kept(values, like.dtype, like.device) if like.is_cuda else like.new_tensor(values)


@lru_cache(maxsize=1024)
def _kept(values: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device)
