"""Filters, another rate and scales for long series, block by block, so that memory stays flat whatever their length.

Blocks overlap by so much that what a filter does at their edges has died away; a series is cut the same way wherever it is kept, so
the values are the same in memory and in a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import numpy as np
from scipy import signal

from unveil.data.series import Series

BLOCK = 1 << 21  # values of all channels together
ORDER = 4  # of the Butterworth filter, which runs forth and back
QUALITY = 30.0  # of the notch: its frequency over its width
CROSSINGS = 16  # zeros of the windowed sinc on either side
LEAST = 1e-3  # of the deviation: below, a channel mostly stands still, and its quartiles tell no width
SAMPLED = 1 << 18  # values a channel, at most, from which its scale is taken
VERSION = 1


@dataclass(frozen=True)
class Processing:
    """What is done to every series, in this order: reference, band, notch, rate, scale.

    Attributes:
        band: lower and upper edge of what passes, in Hz, 0 for no lower edge; None lets all pass.
        notch: frequency in Hz that is taken out.
        reference: ``"average"`` subtracts the mean of all channels that are there, at each instant.
        scale: each channel of a recording over its own ``"deviation"``, or ``"robust"``: less its median, over IQR / 1.349.
        rate: values a second to resample to; None keeps each series' own.
    """

    band: tuple[float, float] | None = None
    notch: float | None = None
    reference: str = "none"
    scale: str = "none"
    rate: float | None = None

    def ratio(self, rate: float | None) -> Fraction:
        """Values after over values before resampling; 1 where the rates differ by less than a thousandth, or one is unknown."""
        if self.rate is None or rate is None or abs(self.rate / rate - 1) < 1e-3:
            return Fraction(1)
        return Fraction(self.rate / rate).limit_denominator(1000)

    def count(self, series: Series) -> int:
        """Values in time that become of a series."""
        ratio = self.ratio(series.rate)
        return series.length if ratio == 1 else max(1, math.ceil((series.length - 1) * ratio)) if series.length else 0

    def cannot(self, rate: float | None) -> list[str]:
        """What is not done to a series of that rate, and why, in a few words each."""
        said = []
        if rate is None:
            asked = [f"{name} {value}" for name, value in (("band", self.band), ("notch", self.notch)) if value]
            return [f"{what} left out where no rate is known" for what in asked]
        if self.band and self.band[1] >= rate / 2:
            said.append(f"no upper edge of {self.band[1]:g} Hz at {rate:g} values a second, which hold nothing above {rate / 2:g} Hz")
        if self.notch and self.notch >= 0.98 * rate / 2:
            said.append(f"no notch of {self.notch:g} Hz at {rate:g} values a second")
        return said


class Room(Protocol):
    """Where processed values ``(T, C)`` are put."""

    def part(self, start: int, stop: int) -> np.ndarray:
        """Rows that may be read and written."""


@dataclass
class Found:
    """What came to light while a series was processed.

    Attributes:
        flat: numbers of channels that never change, or have no value.
        missing: whether any value is missing.
    """

    flat: list[int] = field(default_factory=list)
    missing: bool = False


def process(series: Series, how: Processing, room: Room) -> Found:
    """Puts all of a series into ``room``, NaN where a value is missing or not certain.

    Raises:
        Unreadable: where a stretch of it cannot be read.
    """
    ratio, count, channels = how.ratio(series.rate), how.count(series), len(series.channels)
    filters, margin = _filters(how, series.rate)
    if ratio != 1:
        margin = max(margin, math.ceil(CROSSINGS * max(1, 1 / ratio)) + 1)
    low, high = np.full(channels, np.inf, np.float32), np.full(channels, -np.inf, np.float32)
    flat = _unchanging(series) if how.reference == "average" else np.zeros(channels, bool)
    found, kept, every = Found(), [], max(1, count // SAMPLED)
    for start, stop, left, right in _blocks(series.length, channels, margin, ratio):
        x = series.read(start - left, stop + right)
        inner = x[:, left:x.shape[1] - right]
        with np.errstate(invalid="ignore"):
            low, high = np.fmin(low, np.fmin.reduce(inner, 1)), np.fmax(high, np.fmax.reduce(inner, 1))
        y = _changed(x, filters, ratio, how.reference == "average", flat)
        first = math.ceil(start * ratio)
        last = min(count, math.ceil(stop * ratio))
        skip = first - math.ceil((start - left) * ratio)
        if last > first:
            part = y[:, skip:skip + last - first]
            found.missing |= bool(np.isnan(part).any())
            room.part(first, last)[:] = part.T
            kept.append(part[:, -first % every::every].copy())
    found.flat = np.flatnonzero(~(high > low) | flat).tolist()
    if how.scale != "none" and kept:
        _scale(np.concatenate(kept, 1), how.scale, room, count, channels)
    return found


def _blocks(length: int, channels: int, margin: int, ratio: Fraction) -> Iterator[tuple[int, int, int, int]]:
    """Start, stop, and how many values before and after are read besides; starts fall where resampled values fall on given ones."""
    step = ratio.denominator
    margin = -(-margin // step) * step
    size = max(BLOCK // max(channels, 1), 4 * margin, step) // step * step
    for start in range(0, length, size):
        stop = min(start + size, length)
        yield start, stop, min(margin, start), min(margin, length - stop)


def _filters(how: Processing, rate: float | None) -> tuple[list[np.ndarray], int]:
    """Second-order sections, and the values in time after which their effect is gone."""
    if rate is None:
        return [], 0
    made, seconds = [], 0.0
    if how.band:
        low, high = how.band
        upper = high < rate / 2
        edges, kind = ((low, high), "bandpass") if low and upper else (low, "highpass") if low else (high, "lowpass")
        if low or upper:
            made.append(signal.butter(ORDER, edges, kind, fs=rate, output="sos"))
            seconds = 8 / (low or high)
    if how.notch and how.notch < 0.98 * rate / 2:
        made.append(signal.tf2sos(*signal.iirnotch(how.notch, QUALITY, fs=rate)))
        seconds = max(seconds, 20 * QUALITY / (math.pi * how.notch))
    return made, math.ceil(seconds * rate)


def _changed(x: np.ndarray, filters: list[np.ndarray], ratio: Fraction, average: bool, flat: np.ndarray) -> np.ndarray:
    """A block with its margins, referenced, filtered and resampled, float32."""
    if not (filters or average or ratio != 1):
        return x
    x = x.astype(np.float64)
    gone = np.isnan(x)
    if average:
        there = ~gone & ~flat[:, None]
        mean = np.where(there, x, 0).sum(0) / np.maximum(there.sum(0), 1)
        x = np.where(flat[:, None], x, x - mean)
    holes = bool(gone.any())
    if holes and (filters or ratio != 1):
        x = _bridged(x, gone)
    for sections in filters:
        most = x.shape[1] - 1
        if most > 0:
            x = signal.sosfiltfilt(sections, x, padlen=min(most, 3 * (2 * len(sections) + 1)))
    if ratio != 1:
        x = _resampled(x, ratio)
        gone = _between(gone, ratio, x.shape[1]) if holes else gone
    if holes:
        x[gone] = np.nan
    return x.astype(np.float32)


def resampled(x: np.ndarray, ratio: Fraction) -> np.ndarray:
    """``x (C, T)`` at another rate by a windowed sinc that lets nothing pass which the lower of the two rates cannot hold; a value is NaN
    where one of its two neighbours was."""
    gone = np.isnan(x)
    y = _resampled(_bridged(x, gone) if gone.any() else x.astype(np.float64), ratio)
    if gone.any():
        y[_between(gone, ratio, y.shape[1])] = np.nan
    return y.astype(np.float32)


def _resampled(x: np.ndarray, ratio: Fraction) -> np.ndarray:
    return signal.resample_poly(x, ratio.numerator, ratio.denominator, axis=1, window=_sinc(ratio.numerator, ratio.denominator),
                                padtype="edge")


@lru_cache(16)
def _sinc(up: int, down: int) -> np.ndarray:
    """Kaiser-windowed sinc whose every phase sums to one, so that a constant stays what it is."""
    most = max(up, down)
    half = CROSSINGS * most
    taps = signal.firwin(2 * half + 1, 1 / most, window=("kaiser", 8.6))
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum() * up
    return taps


def _bridged(x: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Missing values replaced by lines between their neighbours, so that filters have something to run over; they are missing again
    afterwards."""
    x = x.astype(np.float64)
    at = np.arange(x.shape[1])
    for row, hole in zip(x, gone):
        row[hole] = np.interp(at[hole], at[~hole], row[~hole]) if (~hole).any() else 0.0
    return x


def _between(gone: np.ndarray, ratio: Fraction, count: int) -> np.ndarray:
    """Which resampled values lie beside a missing one."""
    at = np.arange(count) * ratio.denominator
    left = np.minimum(at // ratio.numerator, gone.shape[1] - 1)
    right = np.minimum(-(-at // ratio.numerator), gone.shape[1] - 1)
    return gone[:, left] | gone[:, right]


def _unchanging(series: Series) -> np.ndarray:
    """Channels that never change; the average of all must not hold them."""
    channels = len(series.channels)
    low, high = np.full(channels, np.inf, np.float32), np.full(channels, -np.inf, np.float32)
    for start, stop, _, _ in _blocks(series.length, channels, 0, Fraction(1)):
        x = series.read(start, stop)
        low, high = np.fmin(low, np.fmin.reduce(x, 1)), np.fmax(high, np.fmax.reduce(x, 1))
    return ~(high > low)


def _scale(some: np.ndarray, way: str, room: Room, count: int, channels: int) -> None:
    """Brings each channel to its own middle and spread, as ``some (C, n)`` of its values say."""
    middle, spread = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    for c, x in enumerate(some):
        x = x[~np.isnan(x)].astype(np.float64)
        if not len(x):
            continue
        deviation = float(x.std())
        if way == "deviation":
            middle[c], width = x.mean(), deviation
        else:
            lower, middle[c], upper = np.percentile(x, (25, 50, 75))
            width = (upper - lower) / 1.349
            width = deviation if width < LEAST * deviation else width
        spread[c] = width if width > 1e-9 * max(1.0, abs(float(middle[c]))) else 1.0
    for start in range(0, count, size := max(1, BLOCK // channels)):
        part = room.part(start, min(start + size, count))
        part -= middle
        part /= spread
