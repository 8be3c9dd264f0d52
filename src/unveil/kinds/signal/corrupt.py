"""Corruptions of series, for any number of channels and any length.

Strengths are relative to each channel's own deviation in the sample, so they mean the same for any unit. The severities are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.kinds.signal.view import read_at
from unveil.randomness import Generator

LEVELS = {
    "noise": (20.0, 15.0, 10.0, 5.0, 0.0),  # ratio of signal to white noise in dB
    "drift": (0.25, 0.5, 1.0, 1.5, 2.0),  # amplitude of a baseline that swings 0.5 to 1 times over the sample, in deviations
    "gain": (1.1, 1.25, 1.5, 2.0, 3.0),  # factor of a channel about its mean, up or down
    "channels": (0.15, 0.3, 0.5, 0.65, 0.8),  # share of the channels that are lost: one at least but never all, so none of one
    "gap": (0.1, 0.2, 0.3, 0.45, 0.6),  # share of the time in which all channels stand still
    "warp": (0.1, 0.2, 0.35, 0.5, 0.7),  # greatest deviation of the speed at which time runs
}


def corrupted(batch: Batch, name: str, severity: int, rest: Tensor | None, generator: Generator) -> Tensor:
    """Values ``(B, C, T)`` at a severity of 1 to 5; a lost channel reads as ``rest (C, 1)`` or, where that is None, as its mean."""
    level = LEVELS[name][severity - 1]
    if name == "channels":
        return _channels(batch, level, rest, generator)
    return {"noise": _noise, "drift": _drift, "gain": _gain, "gap": _gap, "warp": _warp}[name](batch, level, generator)


def _levels(batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean and deviation ``(B, C, 1)`` of each channel over what is there."""
    x = batch.values
    weight = x.new_ones(len(x), 1, x.shape[-1]) if batch.valid is None else batch.valid[:, None].to(x)
    weight = weight / weight.sum(-1, keepdim=True).clamp_min(1)
    mean = (weight * x).sum(-1, keepdim=True)
    return mean, (weight * (x - mean).square()).sum(-1, keepdim=True).sqrt()


def _noise(batch: Batch, level: float, generator: Generator) -> Tensor:
    return batch.values + 10 ** (-level / 20) * _levels(batch)[1] * generator.normal(*batch.values.shape[1:], keys=batch.keys)


def _drift(batch: Batch, level: float, generator: Generator) -> Tensor:
    channels, length = batch.values.shape[1:]
    turns = generator.uniform(channels, 1, keys=batch.keys, low=0.5, high=1.0)
    start = generator.uniform(channels, 1, keys=batch.keys)
    swing = (2 * math.pi * (start + turns * torch.linspace(0, 1, length, device=start.device))).sin()
    return batch.values + level * _levels(batch)[1] * swing


def _gain(batch: Batch, level: float, generator: Generator) -> Tensor:
    mean = _levels(batch)[0]
    up = generator.uniform(batch.values.shape[1], 1, keys=batch.keys) < 0.5
    return mean + (batch.values - mean) * torch.where(up, level, 1 / level)


def _channels(batch: Batch, level: float, rest: Tensor | None, generator: Generator) -> Tensor:
    channels = batch.values.shape[1]
    lost = generator.permutation(channels, keys=batch.keys) < min(max(1, round(level * channels)), channels - 1)
    return torch.where(lost[..., None], _levels(batch)[0] if rest is None else rest.to(batch.values), batch.values)


def _gap(batch: Batch, level: float, generator: Generator) -> Tensor:
    length = batch.values.shape[-1]
    still = max(1, round(level * length))
    first = (generator.uniform(1, keys=batch.keys) * (length - still + 1)).long()
    place = torch.arange(length, device=first.device)
    held = torch.where((place >= first) & (place < first + still), first, place)
    return batch.values.gather(-1, held[:, None].expand_as(batch.values))


def _warp(batch: Batch, level: float, generator: Generator) -> Tensor:
    length = batch.values.shape[-1]
    at = ((torch.arange(length, device=batch.values.device) + 0.5) / length)[None]
    phase = 2 * math.pi * generator.uniform(1, keys=batch.keys)
    return read_at(batch, at + level / (2 * math.pi) * ((2 * math.pi * at + phase).sin() - phase.sin())).values
