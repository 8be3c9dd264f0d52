"""Planted sets: recordings with mixed channels, and waves that a caption can tell apart."""

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
    values, label = templates((6, window), count, generator)
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


def waves(count: int, window: int, generator: Generator) -> Samples:
    """Four values of a factor that words can say: a slow or a quick wave on a line that rises or falls, at a random phase and with white
    noise, of which words say nothing; the second channel has noise alone."""
    keys = torch.arange(count)
    draw = lambda low, high: generator.uniform(1, keys=keys, low=low, high=high)
    time = torch.arange(window) / window
    turns, slope = torch.where(keys % 2 == 0, 3.0, 8.0)[:, None], torch.where(keys % 4 < 2, 3.0, -3.0)[:, None]
    one = (2 * math.pi * (turns * draw(0.93, 1.07) * time + draw(0, 1))).sin() + slope * (time - 0.5)
    values = torch.stack([draw(0.9, 1.1) * one, torch.zeros_like(one)], 1) + 0.3 * generator.normal(2, window, keys=keys)
    return Samples(lambda ids: (values[ids], None), count, shape=(window,), channels=2, axes=("t",), spacing=(1.0,), unit="sample",
                   labels=(keys % 4).numpy(), classes=["a", "b", "c", "d"], groups=np.arange(count) // 4 % 8)
