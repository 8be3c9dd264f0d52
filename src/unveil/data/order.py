"""Which samples come when: a pure function of seed and step, so a checkpoint holds no loader state."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from unveil.randomness import Generator


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    """The order of ``count`` samples in an epoch."""
    return Generator(seed, "order", epoch).permutation(count)


def stream(seed: int, step: int, batch: int, count: int, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor]:
    """What process ``rank`` of ``world`` reads at ``step``.

    Epochs follow one another without a gap, so every batch is full and a data set may be smaller than a batch.

    Returns:
        positions in the data set and places in the stream, ``(batch / world,)`` each.
    """
    part = batch // world
    keys = torch.arange(step * batch + rank * part, step * batch + (rank + 1) * part)
    epochs = keys // count
    at = torch.empty_like(keys)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
        here = epochs == epoch
        at[here] = epoch_order(seed, epoch, count)[keys[here] % count]
    return at, keys
