"""Planted sets: recordings with mixed channels, waves that a caption can tell apart, and movements."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from unveil.data.samples import Samples
from unveil.data.series import of_array
from unveil.kinds.kind import templates
from unveil.randomness import Generator

# Six electrodes around the head in the order of each montage, with an empty row somewhere; the place of the last is unknown. All have the
# same ones: with others in each, which montage it is would be a second factor, and Laya gains less of the first (benchmarks/montages.py).
MONTAGES = ((0, 1, 2, 3, 4, 5, -1), (4, -1, 2, 0, 3, 5, 1), (-1, 5, 1, 3, 0, 4, 2))


def montages(count: int, window: int, generator: Generator) -> Samples:
    """Four patterns over six electrodes, recorded by three montages in turn. As where recordings are read, each channel is centred and
    scaled, or offsets and gains, which say nothing, would be what there is most to learn of a sample."""
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

    return Samples(fetch, count, shape=(window,), channels=kept.shape[1], axes=("t",), spacing=(1.0,), unit="sample", labels=label.numpy(),
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


RATE = 25.0  # values a second of planted movements
BEND, BUMPS = (0.6, 1.7), (0.0, 0.8)  # of the four forms of a movement element


def movements(count: int, window: int, moving: Callable, generator: Generator) -> Samples:
    """Three axes of acceleration in g, each a row of elements that go up and down in turn, as long and as strong as chance has it. Their
    form, early or late and with one bump or two, is that of the sample; beside it noise, and gravity in a direction that says nothing.

    Args:
        count: number of samples.
        window: values of each.
        moving: fetch, recordings, which one each window is of, its first value there, and rate -> fetch with movement elements.
        generator: of it all.
    """
    keys, most = torch.arange(count), window // 4
    label = keys % 4
    long = generator.uniform(3, most, keys=keys, low=10.0, high=18.0)  # values: half a second
    begun = long.cumsum(-1) - long - 10 * generator.uniform(3, 1, keys=keys)
    strong = generator.uniform(3, most, keys=keys, low=0.3, high=1.0) * torch.tensor([1.0, -1.0]).repeat(most)[:most]
    share = (torch.arange(window)[:, None] - begun[..., None, :]) / long[..., None, :]  # (count, 3, window, most)
    bend, bumps = (torch.tensor(pair)[which].view(-1, 1, 1, 1) for pair, which in ((BEND, label % 2), (BUMPS, label // 2)))
    inside = share.clamp(0, 1)
    form = (math.pi * inside**bend).sin() * (1 + bumps * (4 * math.pi * inside**bend).cos())
    body = (form * strong[..., None, :]).sum(-1)
    gravity = torch.nn.functional.normalize(generator.normal(3, 1, keys=keys), dim=1)
    values = gravity + body + 0.03 * generator.normal(3, window, keys=keys)
    recordings = [of_array(each) for each in values.numpy()]
    fetch = moving(lambda ids: (values[ids], None), recordings, np.arange(count), np.zeros(count, np.int64), RATE)
    return Samples(fetch, count, shape=(window,), channels=3, axes=("t",), spacing=(1 / RATE,), unit="s", labels=label.numpy(),
                   classes=["a", "b", "c", "d"], groups=np.arange(count) // 4 % 8)
