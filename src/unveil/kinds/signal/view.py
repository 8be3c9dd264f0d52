"""Views of series: crops and changes of value, batched."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.randomness import Generator

Rate = float | Tensor | None  # values a second: of all samples, or of each (B, 1, 1)


def varied(x: Tensor, keys: Tensor, strength: float, triads: bool, rest: Tensor | None, generator: Generator) -> Tensor:
    """Series ``(B, C, T)`` of a turned sensor where ``triads``, with other gains, offsets and noise, and lost channels that read as
    ``rest (C, 1)``."""
    channels = x.shape[1]
    if triads:
        turn = rotations(generator.normal(3, keys=keys) * (0.05 * strength))
        x = (turn[:, None] @ x.unflatten(1, (-1, 3))).flatten(1, 2)
    spread = x.std(-1, keepdim=True)
    centre = x.mean(-1, keepdim=True)
    gain = (generator.normal(channels, 1, keys=keys) * (0.1 * strength)).exp()
    shift = generator.normal(channels, 1, keys=keys) * (0.1 * strength)
    noise = generator.normal(channels, x.shape[-1], keys=keys) * (0.1 * strength)
    x = centre + (x - centre) * gain + (shift + noise) * spread
    if rest is None or channels == 1:
        return x
    return torch.where(generator.uniform(channels, 1, keys=keys) < 0.03 * strength, rest.to(x), x)


def present(batch: Batch, values: Tensor) -> Tensor:
    """``values (B, C, T)`` with 0 in channels that a sample of mixed channels does not have."""
    channel = batch.extras.get("channel")
    return values if channel is None else values * (channel >= 0)[..., None]


def within(batch: Batch, values: Tensor) -> Tensor:
    """``values (B, C, T)`` with 0 where the batch has none."""
    return values if batch.valid is None else values * batch.valid[:, None]


def lose(batch: Batch, lost: Tensor) -> Batch:
    """Samples of mixed channels without those that are ``lost``, bool ``(B, C)``."""
    kept = ~lost[..., None]
    extras = batch.extras | {"channel": batch.extras["channel"].masked_fill(lost, -1), "place": batch.extras["place"] * kept}
    return replace(batch, values=batch.values * kept, extras=extras)


def fewer(batch: Batch, strength: float, generator: Generator) -> Batch:
    """Samples of mixed channels that lose as many as :func:`varied` does, never the one that is drawn to stay."""
    channel = batch.extras["channel"]
    drawn = generator.uniform(channel.shape[1], keys=batch.keys).masked_fill(channel < 0, -1)
    return lose(batch, (drawn < 0.03 * strength) & (drawn >= 0) & (drawn < drawn.amax(-1, keepdim=True)))


def crop(batch: Batch, first: Tensor, share: Tensor, out: int) -> Batch:
    """The part of each series that starts at ``first (B, 1)`` and covers ``share (B, 1)``, both in shares of its length,
    read at ``out`` points by linear interpolation."""
    part = read_at(batch, first + share * ((torch.arange(out, device=first.device) + 0.5) / out))
    low, length = batch.box[:, :1], batch.box[:, 1:] - batch.box[:, :1]
    start = low + first[..., None] * length
    return replace(part, box=torch.cat([start, start + share[..., None] * length], 1))


def read_at(batch: Batch, at: Tensor) -> Batch:
    """Series read at ``at (B, T)``, in shares of their length, by linear interpolation."""
    whole = batch.values.shape[-1]
    at = (at * whole - 0.5).clamp(0, whole - 1)
    left = at.long().clamp_max(whole - 2) if whole > 1 else at.long()
    right = (left + 1).clamp_max(whole - 1)
    weight = (at - left)[:, None]
    pick = lambda x, index: x.gather(-1, index[:, None].expand(-1, x.shape[1], -1))
    values = pick(batch.values, left) * (1 - weight) + pick(batch.values, right) * weight
    valid = None if batch.valid is None else batch.valid.gather(1, left) & batch.valid.gather(1, right)
    return replace(batch, values=values, valid=valid)


def rotations(axis: Tensor) -> Tensor:
    """Rotation matrices ``(B, 3, 3)`` about ``axis (B, 3)`` by its length in radians (Rodrigues)."""
    angle = axis.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    x, y, z = (axis / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(-1, 3, 3)
    sin, cos = angle.sin()[..., None], angle.cos()[..., None]
    return torch.eye(3, device=axis.device) + sin * cross + (1 - cos) * (cross @ cross)
