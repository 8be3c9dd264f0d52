"""Movement elements: the stretches of body acceleration between zero crossings, axis by axis (BioPM, Tarale et al. 2026).

An element is a row of 35 numbers, see :mod:`unveil.parts.movement`: its waveform at 32 evenly spaced times, so that duration is gone while
size and sign are kept; its centre, axis and length. Rows go axis by axis. Where a window has more than there is room for, the last are
left out, which are of the last axis.

As published but for this: a stretch is small where its greatest absolute value is; the published greatest value says nothing of a stretch
below zero. Recordings are filtered in second-order sections before windows are cut, each window with so much of its recording beside it
that the filters cannot tell it from the whole, gaps longer than that aside. Elements over missing values are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.machine import memory_limit, processes
from unveil.data.series import Series
from unveil.errors import Unusable
from unveil.kinds.signal.view import read_at
from unveil.parts.movement import POINTS, taken_apart

BODY = (0.5, 12.0)  # Hz; below is gravity
ORDER = 6
APART = 0.05  # s: a crossing this near the last one is none
SMALL = 0.01  # g: neighbouring stretches that stay below are one
STEP = 8  # batches have a multiple of so many rows, the fewest that hold their fullest window
FORGOTTEN = 16.0  # beside a window lies so much of its recording that the slowest pole of the filters falls to exp(-16)
COUNTED = 256  # windows whose elements say how many chunks are as many


def bands(x: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Acceleration ``(A, T)`` as that of the body, 0.5 to 12 Hz (less where the rate allows no more), and gravity below 0.5 Hz, without
    delay. Missing values are filled in along a line first.

    Raises:
        Unusable: where the rate is too low for any band.
    """
    time = np.arange(x.shape[1])
    there = ~np.isnan(x)
    filled = np.stack([np.interp(time, time[ok], axis[ok]) if ok.any() else np.zeros(len(time)) for axis, ok in zip(x, there)])
    found = []
    for sections in _filters(rate):
        found.append(sosfiltfilt(sections, filled, padlen=min(6 * len(sections) + 3, x.shape[1] - 1)).astype(np.float32))
    return found[0], found[1]


@lru_cache
def _filters(rate: float) -> list[np.ndarray]:
    """Sections of the filters of body and gravity."""
    low, high = BODY[0], min(BODY[1], 0.45 * rate)
    if high <= 2 * low:
        raise Unusable(f"movement elements need at least {4 * low / 0.9:.1f} values a second, there are {rate:g}")
    return [butter(ORDER, (low, high), "bandpass", fs=rate, output="sos"), butter(ORDER, low, "lowpass", fs=rate, output="sos")]


def margin(rate: float) -> int:
    """Values beside a window that are filtered with it: 21 s of them at 40 values a second, more at fewer."""
    slowest = max(np.abs(np.roots(section[3:])).max() for sections in _filters(rate) for section in sections)
    return int(np.ceil(FORGOTTEN / -np.log(slowest)))


def crossings(body: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stretches between zero crossings of windows.

    Args:
        body: ``(n, A, T)``.
        rate: values a second.

    Returns:
        of each stretch, in the order of windows, axes and time: its row ``window * A + axis``, first and last value ``(K, 2)`` (the last
        ones before its crossings), and times of its crossings ``(K, 2)`` in values.
    """
    flat = np.asarray(body, np.float64).reshape(-1, body.shape[-1])
    row, left = np.nonzero(flat[:, :-1] * flat[:, 1:] < 0)
    time = left + _root(_spline(flat)[:, left, row])
    big = np.concatenate([np.zeros((len(flat), 1), int), np.cumsum(np.abs(flat) >= SMALL, 1)], 1)
    kept, ends = [], np.searchsorted(row, np.arange(len(flat) + 1))
    for number, (first, last) in enumerate(pairwise(ends)):
        kept.append(first + _kept(left[first:last], big[number], round(rate * APART)))
    pairs = np.concatenate([np.stack([at[:-1], at[1:]], 1) for at in kept]) if kept else np.zeros((0, 2), int)
    return row[pairs[:, 0]], left[pairs], time[pairs]


def _kept(left: np.ndarray, big: np.ndarray, gap: int) -> list[int] | np.ndarray:
    """Numbers of the crossings of one row that stay: not too near the last that stays, nor between two small stretches."""
    apart: list[int] = []
    for number, at in enumerate(left.tolist()):
        if not apart or at - left[apart[-1]] > gap:
            apart.append(number)
    at = left[apart]
    small = big[at[1:] + 2] == big[at[:-1]]
    return np.array(apart, int)[~np.concatenate([[False], small[1:] & small[:-1], [False]])] if len(apart) > 1 else np.array(apart, int)


def _spline(flat: np.ndarray) -> np.ndarray:
    """Coefficients ``(4, T - 1, rows)`` of the cubic through all values, highest power first."""
    return CubicSpline(np.arange(flat.shape[1]), flat, axis=1).c


def _at(c: np.ndarray, s: np.ndarray) -> np.ndarray:
    return ((c[0] * s + c[1]) * s + c[2]) * s + c[3]


def _root(c: np.ndarray) -> np.ndarray:
    """Zeros in [0, 1] of cubics ``(4, K)`` that change sign there, by halving."""
    low, high, sign = np.zeros(c.shape[1]), np.ones(c.shape[1]), np.sign(c[3])
    for _ in range(45):
        middle = (low + high) / 2
        before = np.sign(_at(c, middle)) == sign
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return (low + high) / 2


def chunks(body: np.ndarray, each: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As :func:`crossings`, ``each`` stretches of equal length an axis, whatever crosses zero."""
    rows, ends = body.shape[0] * body.shape[1], np.linspace(0, body.shape[2] - 1, each + 1)
    pairs = np.tile(np.stack([ends[:-1], ends[1:]], 1), (rows, 1))
    return np.repeat(np.arange(rows), each), pairs, pairs


def elements(body: np.ndarray, missing: np.ndarray | None, rate: float, each: int | None) -> list[np.ndarray]:
    """Rows of elements ``(k, 35)`` float32 of each window of ``body (n, A, T)``; ``missing`` bool ``(n, T)``; ``each`` asks for chunks."""
    count, axes, length = body.shape
    row, ends, times = crossings(body, rate) if each is None else chunks(body, each)
    if missing is not None:
        gone = np.concatenate([np.zeros((count, 1), int), np.cumsum(missing, 1)], 1)
        whole = gone[row // axes, np.minimum(ends[:, 1].astype(int) + 2, length)] == gone[row // axes, ends[:, 0].astype(int)]
        row, ends, times = row[whole], ends[whole], times[whole]
    at = times[:, :1] + (times[:, 1:] - times[:, :1]) * np.linspace(0, 1, POINTS)
    place = np.clip(at.astype(int), 0, length - 2)
    waves = _at(_spline(np.asarray(body, np.float64).reshape(-1, length))[:, place, row[:, None]], at - place)
    facts = np.stack([ends.mean(1) / length, row % axes, ends[:, 1] - ends[:, 0] + 2], 1)
    return np.split(np.concatenate([waves, facts], 1).astype(np.float32), np.searchsorted(row // axes, np.arange(1, count)))


class Movements:
    """A fetch that adds movement elements and gravity to the extras of windows. Both are made when a window is first asked for, and kept
    while a quarter of the memory has room.

    Args:
        fetch: of windows.
        series: recordings; one shorter than a window is filled up with missing values.
        which: number of the recording that each window is cut from, int64 ``(n,)``.
        start: first value of each window in it, int64 ``(n,)``.
        window: length.
        rate: values a second; None where unknown.
        form: elements between zero crossings, or chunks of equal length.
        axes: channels that are accelerations.
        most: elements a window, at most.
        g: what one g is in these channels.
        each: chunks an axis; None for as many as a window has elements on average.

    Raises:
        Unusable: where there is no such channel, or no rate.
    """

    def __init__(self, fetch: Callable[[Tensor], tuple], series: Sequence[Series], which: np.ndarray, start: np.ndarray, *, window: int,
                 rate: float | None, form: str, axes: tuple[int, ...], most: int, g: float, each: int | None):
        if not axes or max(axes) >= len(series[0].channels):
            raise Unusable(f"kind.accelerations names channel {max(axes, default=0)} from 0, there are {len(series[0].channels)} channels")
        if rate is None:
            raise Unusable("movement elements need to know how many values a second there are: say it, such as --rate 50")
        self.series, self.which, self.start, self.margin = series, which, start, margin(rate)
        self.fetch, self.window, self.rate, self.most, self.axes, self.g = fetch, window, rate, most, list(axes), g
        self.held, self.room = {}, int(0.25 * memory_limit())
        self.each: int | None = None
        if form == "chunks":
            some = torch.linspace(0, len(start) - 1, COUNTED).long().unique()
            self.each = each or max(1, round(np.mean([len(rows) for rows, _ in self._made(some.tolist(), None)]) / len(axes)))

    def _bands(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Body and gravity of a window ``(A, window)``."""
        series, start = self.series[self.which[number]], int(self.start[number])
        first, last = max(0, start - self.margin), min(series.length, start + self.window + self.margin)
        x = series.read(first, last)[self.axes] / self.g
        x = np.pad(x, ((0, 0), (0, max(0, start + self.window - last))), constant_values=np.nan)
        body, gravity = (part[:, start - first:start - first + self.window] for part in bands(x, self.rate))
        return body, gravity

    def _made(self, numbers: list[int], valid: Tensor | None) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows of elements and gravity of windows."""
        body, gravity = zip(*map(self._bands, numbers))
        rows = elements(np.stack(body), None if valid is None else ~valid.numpy(), self.rate, self.each)
        return [(x[:self.most].copy(), below.copy()) for x, below in zip(rows, gravity)]

    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        values, valid, *more = self.fetch(ids)
        number = ids.tolist()
        asked = [place for place, i in enumerate(number) if i not in self.held]
        made = self._made([number[place] for place in asked], None if valid is None else valid[asked]) if asked else []
        fresh = dict(zip((number[place] for place in asked), made))
        for i, found in fresh.items():
            size = sum(part.nbytes for part in found) * processes()
            if self.room > size:
                self.held[i], self.room = found, self.room - size
        own = [fresh[i] if i in fresh else self.held[i] for i in number]
        longest = -(-max((len(rows) for rows, _ in own), default=0) // STEP) * STEP
        rows = np.zeros((len(ids), max(longest, STEP), POINTS + 3), np.float32)
        rows[..., POINTS + 1] = -1
        for place, (x, _) in enumerate(own):
            rows[place, :len(x)] = x
        extras = {"elements": torch.from_numpy(rows), "gravity": torch.from_numpy(np.stack([gravity for _, gravity in own]))}
        return values, valid, (more[0] if more else {}) | extras


def cropped(batch: Batch, first: Tensor, share: Tensor, out: int) -> dict[str, Tensor]:
    """Extras of the part of each window that starts at ``first (B, 1)`` and covers ``share (B, 1)``, both in shares of its length: elements
    that lie in it whole, their centres told anew, and its gravity read at ``out`` times."""
    rows, length = batch.extras["elements"], batch.values.shape[-1]
    _, centre, axis, long = taken_apart(rows)
    half = (long - 2) / 2 / length
    inside = (axis >= 0) & (centre - half >= first) & (centre + half <= first + share)
    facts = torch.stack([(centre - first) / share, torch.where(inside, axis, -1).to(centre), long], -1)
    empty = facts.new_tensor([0.0, -1.0, 0.0])
    rows = torch.cat([rows[..., :POINTS] * inside[..., None], torch.where(inside[..., None], facts, empty)], -1)
    gravity = read_at(replace(batch, values=batch.extras["gravity"], valid=None),
                      first + share * ((torch.arange(out, device=first.device) + 0.5) / out)).values
    return batch.extras | {"elements": rows, "gravity": gravity}
