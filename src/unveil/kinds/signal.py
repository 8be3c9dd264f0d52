"""Signals: multichannel series cut into windows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch, Count, Positive
from unveil.data.records import Records, Unreadable
from unveil.data.samples import Samples, encode_labels
from unveil.errors import Unusable
from unveil.kinds.kind import Kind, templates
from unveil.randomness import Generator


class Signal(Kind):
    """Windows of series with channels, such as sensors, EEG or sound levels.

    Args:
        window: length of a sample, in values at ``rate``.
        stride: distance between window starts; None for a quarter of the window.
        rate: samples a second to resample to; None keeps the source's.
        triads: views turn the sensor, by about 3 degrees at strength 1: channels come in groups of x, y, z in its frame.

    Attributes:
        rest: mean of each channel ``(C, 1)`` over the data that were opened last; None before, and then views lose no channel.
    """

    name = "signal"

    def __init__(self, *, window: Count = 128, stride: Count | None = None, rate: Positive | None = None, triads: bool = False):
        self.window, self.stride, self.rate, self.triads = window, stride or max(1, window // 4), rate, triads
        self.rest: Tensor | None = None

    def open(self, records: Records) -> Samples:
        if self.triads and records.channels and len(records.channels) % 3:
            raise Unusable(f"kind.triads needs groups of three channels, there are {len(records.channels)}")
        pieces, owner, starts, faults = self._read(records)
        if not pieces:
            reasons = "; ".join(f"{name}: {why}" for name, why in list(faults.items())[:3])
            raise Unusable(f"no recording gives a window of {self.window} values. {reasons}. "
                           f"Shorter windows: --kind.window {max(8, self.window // 2)}")
        flat = torch.from_numpy(np.concatenate(pieces, 1))
        missing = torch.isnan(flat).any(0)
        any_missing = bool(missing.any())
        self.rest = flat.nanmean(1, keepdim=True).nan_to_num_(0.0)
        flat.nan_to_num_(0.0)
        start = torch.from_numpy(np.concatenate(starts))
        source = np.concatenate(owner)
        span = torch.arange(self.window)

        def fetch(ids: Tensor) -> tuple[Tensor, Tensor | None]:
            at = start[ids][:, None] + span
            return flat[:, at].transpose(0, 1), ~missing[at] if any_missing else None

        labels, classes = encode_labels(records.labels)
        groups, _ = encode_labels(records.groups if records.groups is not None else np.arange(len(records)).astype(str))
        rate = self.rate or records.rate
        return Samples(
            fetch, len(start), shape=(self.window,), channels=len(flat), axes=("t",), spacing=(1.0 / rate if rate else 1.0,),
            unit="s" if rate else "sample", labels=None if labels is None else labels[source], classes=classes, groups=groups[source],
            test=None if records.test is None else records.test[source], name=lambda i: records.names[source[i]], faults=faults,
            notes=records.notes)

    def _read(self, records: Records):
        """Reads all series, sets aside what has another number of channels, no window, or windows without a value."""
        series, faults = {}, {}
        for i, name in enumerate(records.names):
            try:
                series[i] = self._resampled(_channels_first(records.load(i), records.layout), records.rate)
            except Unreadable as why:
                faults[name] = str(why)
        usual = Counter(len(x) for x in series.values()).most_common(1)
        pieces, owner, starts, offset = [], [], [], 0
        for i, x in series.items():
            if len(x) != usual[0][0]:
                faults[records.names[i]] = f"has {len(x)} channels, the others {usual[0][0]}"
                continue
            if x.shape[1] < self.window:
                faults[records.names[i]] = f"has {x.shape[1]} values, a window needs {self.window}"
                continue
            start = np.arange(0, x.shape[1] - self.window + 1, self.stride)
            filled = np.concatenate([[0], np.cumsum(~np.isnan(x).any(0))])
            full = filled[start + self.window] - filled[start] > 0
            if not full.all():
                faults[f"{records.names[i]} (windows)"] = f"{int((~full).sum())} windows without a value set aside"
            if not full.any():
                continue
            pieces.append(x)
            starts.append(start[full] + offset)
            owner.append(np.full(int(full.sum()), i))
            offset += x.shape[1]
        return pieces, owner, starts, faults

    def _resampled(self, x: np.ndarray, rate: float | None) -> np.ndarray:
        if self.rate is None or rate is None or self.rate == rate:
            return x
        at = np.arange(0, x.shape[1] - 1, rate / self.rate)
        return np.stack([np.interp(at, np.arange(x.shape[1]), channel) for channel in x]).astype(np.float32)

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {"window": self.window, "rate": 1.0 / samples.spacing[0] if samples.unit == "s" else None}

    def view(self, batch: Batch, count: int, *, area: tuple[float, float], size: float, strength: float, symmetry: bool,
             generator: Generator) -> list[Batch]:
        """Crops stretched to ``size`` times the window; then turned sensors, gains, offsets and noise, relative to the sample's
        own deviation, and lost channels, which read as their mean over the data. A series has no exact symmetry."""
        return [self._one_view(batch, area, size, strength, generator) for _ in range(count)]

    def _one_view(self, batch: Batch, area, size: float, strength: float, generator: Generator) -> Batch:
        whole, keys = batch.values.shape[-1], batch.keys
        out = max(1, round(whole * size))
        if area != (1.0, 1.0) or out != whole:
            share = generator.uniform(1, keys=keys, low=area[0], high=area[1])
            first = generator.uniform(1, keys=keys) * (1 - share)
            batch = crop(batch, first, share, out)
        if strength > 0:
            batch = replace(batch, values=self._varied(batch.values, keys, strength, generator))
        return batch

    def _varied(self, x: Tensor, keys: Tensor, strength: float, generator: Generator) -> Tensor:
        channels = x.shape[1]
        if self.triads:
            turn = rotations(generator.normal(3, keys=keys) * (0.05 * strength))
            x = (turn[:, None] @ x.unflatten(1, (-1, 3))).flatten(1, 2)
        spread = x.std(-1, keepdim=True)
        centre = x.mean(-1, keepdim=True)
        gain = (generator.normal(channels, 1, keys=keys) * (0.1 * strength)).exp()
        shift = generator.normal(channels, 1, keys=keys) * (0.1 * strength)
        noise = generator.normal(channels, x.shape[-1], keys=keys) * (0.1 * strength)
        x = centre + (x - centre) * gain + (shift + noise) * spread
        if self.rest is None or channels == 1:
            return x
        return torch.where(generator.uniform(channels, 1, keys=keys) < 0.03 * strength, self.rest.to(x), x)

    def statistics(self, batch: Batch) -> Tensor:
        """Mean, deviation, least, greatest and mean absolute difference of each channel."""
        x = batch.values
        return torch.cat([x.mean(-1), x.std(-1), x.amin(-1), x.amax(-1), x.diff(dim=-1).abs().mean(-1)], 1)

    def draw(self, values: np.ndarray) -> str:
        height, width = 12 * len(values), 120
        lines = []
        for row, x in enumerate(values[:8]):
            low, high = float(np.nanmin(x)), float(np.nanmax(x))
            y = 12 * row + 11 - 10 * (x - low) / max(high - low, 1e-9)
            points = " ".join(f"{i * width / max(len(x) - 1, 1):.1f},{v:.1f}" for i, v in enumerate(y))
            lines.append(f'<polyline class="trace t{row % 3}" points="{points}"/>')
        return f'<svg viewBox="0 0 {width} {min(height, 96)}" class="sample">{"".join(lines)}</svg>'

    def planted(self, count: int, generator: Generator) -> Samples:
        values, label = templates((2, self.window), count, generator)
        return Samples(lambda ids: (values[ids], None), count, shape=(self.window,), channels=2, axes=("t",), spacing=(1.0,),
                       unit="sample", labels=label.numpy(), classes=["a", "b", "c", "d"], groups=np.arange(count) // 4 % 8)


def _channels_first(x: np.ndarray, layout: str | None) -> np.ndarray:
    """One series as ``(C, T)`` float32, NaN where a value is missing or not finite.

    Raises:
        Unreadable: where it is no series.
        Unusable: where the axes are not certain.
    """
    with np.errstate(over="ignore"):
        x = np.asarray(x, np.float32)
    x = x if np.isfinite(x).all() else np.where(np.isfinite(x), x, np.float32(np.nan))
    if x.ndim == 1:
        return x[None]
    if x.ndim != 2:
        raise Unreadable(f"has {x.ndim} axes, a series has two: channels and time")
    if layout is None:
        raise Unusable(f"a series of {'x'.join(map(str, x.shape))} can have its channels first or last. Say which:\n"
                       "  --layout ct\n  --layout tc")
    return x.T if layout == "tc" else x


def crop(batch: Batch, first: Tensor, share: Tensor, out: int) -> Batch:
    """The part of each series that starts at ``first (B, 1)`` and covers ``share (B, 1)``, both in shares of its length,
    read at ``out`` points by linear interpolation."""
    whole = batch.values.shape[-1]
    at = (first + share * ((torch.arange(out, device=first.device) + 0.5) / out)) * whole - 0.5
    at = at.clamp(0, whole - 1)
    left = at.long().clamp_max(whole - 2) if whole > 1 else at.long()
    right = (left + 1).clamp_max(whole - 1)
    weight = (at - left)[:, None]
    pick = lambda x, index: x.gather(-1, index[:, None].expand(-1, x.shape[1], -1))
    values = pick(batch.values, left) * (1 - weight) + pick(batch.values, right) * weight
    valid = None if batch.valid is None else batch.valid.gather(1, left) & batch.valid.gather(1, right)
    low, length = batch.box[:, :1], batch.box[:, 1:] - batch.box[:, :1]
    start = low + first[..., None] * length
    return replace(batch, values=values, valid=valid, box=torch.cat([start, start + share[..., None] * length], 1))


def rotations(axis: Tensor) -> Tensor:
    """Rotation matrices ``(B, 3, 3)`` about ``axis (B, 3)`` by its length in radians (Rodrigues)."""
    angle = axis.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    x, y, z = (axis / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(-1, 3, 3)
    sin, cos = angle.sin()[..., None], angle.cos()[..., None]
    return torch.eye(3, device=axis.device) + sin * cross + (1 - cos) * (cross @ cross)
