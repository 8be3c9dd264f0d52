"""A planted set of recordings with mixed channels."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from unveil.data.samples import Samples
from unveil.kinds.kind import templates
from unveil.randomness import Generator

# Which of six electrodes around the head each montage has, in its own order; -1 for none. The place of the last is unknown.
MONTAGES = ((0, 1, 2, 3, 4, 5), (4, 2, 0, 3, -1, -1), (5, 1, 3, 0, 2, -1))


def montages(count: int, window: int, generator: Generator) -> Samples:
    """Four patterns over six electrodes, recorded by three montages that have six, four or five of them, in turn. As where recordings are
    read, each channel is centred and scaled, or offsets and gains, which say nothing, would be what there is most to learn of a sample."""
    values, label = templates((6, window), count, generator, noise=1.0)  # six channels tell of a pattern, elsewhere two
    values = (values - values.mean(-1, keepdim=True)) / values.std(-1, keepdim=True)
    angle = torch.arange(6) * (2 * math.pi / 6)
    places = torch.stack([angle.sin(), angle.cos(), torch.full_like(angle, 0.3)], 1)
    places[5] = 0.0
    kept = torch.tensor(MONTAGES)[torch.arange(count) // 4 % len(MONTAGES)]
    there = (kept >= 0)[..., None]
    values = values.gather(1, kept.clamp_min(0)[..., None].expand(-1, -1, window)) * there
    extras = {"channel": torch.where(kept < 0, -1, (kept == 5).long()), "place": places[kept.clamp_min(0)] * there}

    def fetch(ids: Tensor) -> tuple[Tensor, None, dict[str, Tensor]]:
        return values[ids], None, {name: x[ids] for name, x in extras.items()}

    return Samples(fetch, count, shape=(window,), channels=6, axes=("t",), spacing=(1.0,), unit="sample", labels=label.numpy(),
                   classes=["a", "b", "c", "d"], groups=np.arange(count) // 4 % 8, mixed=True)
