"""Corruptions of series, for any number of channels and any length.

Strengths are relative to each channel's own deviation in the sample, so they mean the same for any unit. The severities are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.kinds.signal.view import Rate, lose, read_at, within
from unveil.randomness import Generator

SNR = "signal over noise in dB"
LEVELS = {  # what the strength of each is, and how strong at severities 1 to 5
    "noise": (SNR, (20.0, 15.0, 10.0, 5.0, 0.0)),  # white
    "pink": (SNR, (20.0, 15.0, 10.0, 5.0, 0.0)),  # of a power that falls as 1 / frequency
    "mains": (SNR, (20.0, 15.0, 10.0, 5.0, 0.0)),  # a steady tone of 50 or 60 Hz
    "muscle": (SNR, (20.0, 15.0, 10.0, 5.0, 0.0)),  # bursts of noise of 20 to 100 Hz
    "blinks": ("height in deviations", (1.0, 2.0, 4.0, 6.0, 10.0)),  # two slow deflections, in all channels at once
    "drift": ("height in deviations", (0.25, 0.5, 1.0, 1.5, 2.0)),  # a baseline that swings 0.5 to 1 times over the sample
    "gain": ("factor", (1.1, 1.25, 1.5, 2.0, 3.0)),  # of a channel about its mean, up or down
    "stop": ("share of the band", (0.1, 0.2, 0.3, 0.4, 0.5)),  # frequencies that are filtered out
    "channels": ("share of channels", (0.15, 0.3, 0.5, 0.65, 0.8)),  # that are lost: one at least but never all, so none of one
    "gap": ("share of time", (0.1, 0.2, 0.3, 0.45, 0.6)),  # in which all channels stand still
    "warp": ("deviation of speed", (0.1, 0.2, 0.35, 0.5, 0.7)),  # greatest, at which time runs
}
MUSCLE = (20.0, 100.0)  # Hz
BLINK = 0.35  # seconds, about; an eighth of the sample where the rate is unknown


def corrupted(batch: Batch, name: str, severity: int, rate: Rate, rest: Tensor | None, generator: Generator) -> Tensor | Batch:
    """Values ``(B, C, T)`` at a severity of 1 to 5.

    Args:
        batch: samples.
        name: of :data:`LEVELS`.
        severity: 1 to 5.
        rate: values a second, None where unknown.
        rest: ``(C, 1)``, as which a lost channel reads; None for its mean. Of samples with mixed channels it is absent, so a batch comes.
        generator: of the draws.
    """
    level = LEVELS[name][1][severity - 1]
    if name == "channels":
        return _channels(batch, level, rest, generator)
    if name in ADDED:
        return batch.values + 10 ** (-level / 20) * _levels(batch)[1] * ADDED[name](batch, rate, generator)
    return CHANGED[name](batch, level, rate, generator)


def _levels(batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean and deviation ``(B, C, 1)`` of each channel over what is there."""
    x = batch.values
    weight = x.new_ones(len(x), 1, x.shape[-1]) if batch.valid is None else batch.valid[:, None].to(x)
    weight = weight / weight.sum(-1, keepdim=True).clamp_min(1)
    mean = (weight * x).sum(-1, keepdim=True)
    return mean, (weight * (x - mean).square()).sum(-1, keepdim=True).sqrt()


def _hertz(batch: Batch, rate: Rate) -> Tensor:
    """Values a second of each sample ``(B or 1, 1, 1)``, 0 where unknown."""
    return rate if isinstance(rate, Tensor) else batch.values.new_full((1, 1, 1), rate or 0.0)


def _white(batch: Batch, rate: Rate, generator: Generator) -> Tensor:
    return generator.normal(*batch.values.shape[1:], keys=batch.keys)


def _pink(batch: Batch, rate: Rate, generator: Generator) -> Tensor:
    """Noise of power 1 / f, the mean and a period longer than the sample left out, scaled to a mean square of 1."""
    length = batch.values.shape[-1]
    at = torch.arange(length // 2 + 1, device=batch.values.device)
    return _unit(_filtered(_white(batch, rate, generator), torch.where(at > 0, at.clamp_min(1).float().rsqrt(), 0)))


def _mains(batch: Batch, rate: Rate, generator: Generator) -> Tensor:
    """A tone of 50 or 60 Hz, in one phase in all channels but not equally strong; one anywhere in the upper half of the
    frequencies where the rate is unknown or too low for it."""
    channels, length = batch.values.shape[1:]
    mains, hertz = torch.where(generator.uniform(1, 1, keys=batch.keys) < 0.5, 50.0, 60.0), _hertz(batch, rate)
    other, phase = (generator.uniform(1, 1, keys=batch.keys) for _ in range(2))
    turns = torch.where(mains < hertz / 2, mains / hertz, 0.25 + 0.25 * other)
    strength = generator.uniform(channels, 1, keys=batch.keys, low=0.5, high=1.5)
    tone = (2 * math.pi * (turns * torch.arange(length, device=turns.device) + phase)).sin()
    return strength * 2**0.5 * tone


def _muscle(batch: Batch, rate: Rate, generator: Generator) -> Tensor:
    """Noise of :data:`MUSCLE`, of the upper half of the frequencies where these cannot hold it, swelling and fading twice in the sample, in
    each channel at times of its own, scaled to a mean square of 1 over the sample."""
    channels, length = batch.values.shape[1:]
    noise, hertz = generator.normal(channels, length, keys=batch.keys), _hertz(batch, rate)
    swell = _bumps(length, generator.uniform(channels, 2, keys=batch.keys), noise.new_full((1, 1, 1), 0.3))
    at, fits = torch.fft.rfftfreq(length, device=noise.device), hertz > 3 * MUSCLE[0]
    low, high = (torch.where(fits, end / hertz, other) for end, other in zip(MUSCLE, (0.25, 0.5), strict=True))
    return _unit(_filtered(noise, ((at >= low) & (at <= high)).float()) * (0.05 + swell))


def _blinks(batch: Batch, level: float, rate: Rate, generator: Generator) -> Tensor:
    """Larger in front: as the square of the way from the back of the head, and drawn where places are not known."""
    (channels, length), hertz = batch.values.shape[1:], _hertz(batch, rate)
    width = torch.where(hertz > 0, BLINK * hertz / length, 0.125).clamp(3 / length, 0.25)
    bump = _bumps(length, generator.uniform(1, 2, keys=batch.keys), width)
    reach = generator.uniform(channels, 1, keys=batch.keys, low=0.2)
    if "place" in batch.extras:
        front = ((1 + batch.extras["place"][..., 1:2]) / 2).clamp(0, 1).square()
        reach = torch.where(batch.extras["channel"][..., None] == 0, front, reach)
    return batch.values + level * _levels(batch)[1] * reach * bump


def _bumps(length: int, at: Tensor, width: Tensor) -> Tensor:
    """Raised cosines ``(B, C, T)`` of height 1 at ``at (B, C, K)`` and of ``width``, in shares of the length; the higher where two meet."""
    time = (torch.arange(length, device=at.device) + 0.5) / length
    away = ((time - at[..., None]) / width[..., None]).clamp(-0.5, 0.5)
    return (0.5 + 0.5 * (2 * math.pi * away).cos()).amax(-2)


def _drift(batch: Batch, level: float, rate: Rate, generator: Generator) -> Tensor:
    channels, length = batch.values.shape[1:]
    turns = generator.uniform(channels, 1, keys=batch.keys, low=0.5, high=1.0)
    start = generator.uniform(channels, 1, keys=batch.keys)
    swing = (2 * math.pi * (start + turns * torch.linspace(0, 1, length, device=start.device))).sin()
    return batch.values + level * _levels(batch)[1] * swing


def _gain(batch: Batch, level: float, rate: Rate, generator: Generator) -> Tensor:
    mean = _levels(batch)[0]
    up = generator.uniform(batch.values.shape[1], 1, keys=batch.keys) < 0.5
    return mean + (batch.values - mean) * torch.where(up, level, 1 / level)


def _stop(batch: Batch, level: float, rate: Rate, generator: Generator) -> Tensor:
    """The frequencies about a drawn one are taken out, the mean never; the wider the level, the more of the same ones."""
    mean = _levels(batch)[0]
    at = torch.fft.rfftfreq(batch.values.shape[-1], 0.5, device=batch.values.device)
    centre = generator.uniform(1, 1, keys=batch.keys, low=0.05, high=0.5)
    low = (centre - level / 2).clamp_min(0)
    flat = within(batch, batch.values - mean)
    return batch.values - _filtered(flat, ((at >= low) & (at <= low + level)).float())


def _channels(batch: Batch, level: float, rest: Tensor | None, generator: Generator) -> Tensor | Batch:
    order = generator.permutation(batch.values.shape[1], keys=batch.keys)
    channel = batch.extras.get("channel")
    if channel is None:
        channels = batch.values.shape[1]
        lost = order < min(max(1, round(level * channels)), channels - 1)
        return torch.where(lost[..., None], _levels(batch)[0] if rest is None else rest.to(batch.values), batch.values)
    there = channel >= 0
    place = torch.where(there, order, len(order[0])).argsort(-1).argsort(-1)  # of each channel among those that are there
    count = there.sum(-1, keepdim=True)
    return lose(batch, place < torch.minimum((level * count).round().clamp_min(1), count - 1))


def _gap(batch: Batch, level: float, rate: Rate, generator: Generator) -> Tensor:
    length = batch.values.shape[-1]
    still = max(1, round(level * length))
    first = (generator.uniform(1, keys=batch.keys) * (length - still + 1)).long()
    place = torch.arange(length, device=first.device)
    held = torch.where((place >= first) & (place < first + still), first, place)
    return batch.values.gather(-1, held[:, None].expand_as(batch.values))


def _warp(batch: Batch, level: float, rate: Rate, generator: Generator) -> Tensor:
    length = batch.values.shape[-1]
    at = ((torch.arange(length, device=batch.values.device) + 0.5) / length)[None]
    phase = 2 * math.pi * generator.uniform(1, keys=batch.keys)
    return read_at(batch, at + level / (2 * math.pi) * ((2 * math.pi * at + phase).sin() - phase.sin())).values


def _filtered(x: Tensor, gain: Tensor) -> Tensor:
    """Series with each frequency multiplied by ``gain``, which broadcasts to ``(B, C, T // 2 + 1)``."""
    return torch.fft.irfft(torch.fft.rfft(x) * gain, x.shape[-1])


def _unit(x: Tensor) -> Tensor:
    """Each channel at a mean square of 1."""
    return x / x.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-12)


CHANGED = {"blinks": _blinks, "drift": _drift, "gain": _gain, "stop": _stop, "gap": _gap, "warp": _warp}
ADDED = {"noise": _white, "pink": _pink, "mains": _mains, "muscle": _muscle}
