"""Arrays to windows: they share their channels and their rate, nothing but resampling is done to them, and all stay in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from unveil.data.processing import Processing, resampled
from unveil.data.records import Records, Unreadable
from unveil.data.samples import Samples, encode_labels
from unveil.data.series import of_array
from unveil.errors import Unusable
from unveil.kinds.signal.read import channels_first, none


@dataclass
class Pieces:
    """Arrays that give windows, end to end.

    Attributes:
        series: ``(C, T)`` each, NaN where a value is missing.
        records: number of the record of each.
        starts: first values of the windows of each, counted from the start of the first array.
        faults: what was set aside, name -> reason.
        longest: values of the longest array.
    """

    series: list[np.ndarray] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    starts: list[np.ndarray] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    longest: int = 0


def samples(records: Records, window: int, stride: int, rate: float | None, moves: Callable | None) -> tuple[Samples, Tensor]:
    """Windows of all arrays, and the mean of each channel ``(C, 1)``.

    Args:
        records: arrays.
        window: values in time.
        stride: between starts of windows.
        rate: values a second that they are brought to; None leaves theirs.
        moves: makes a fetch, arrays, which one each window is of, its first value there, and the rate a fetch with more extras; None
            leaves it.

    Raises:
        Unusable: where there is no window.
    """
    pieces = _pieces(records, window, stride, rate)
    if not pieces.series:
        raise none(pieces.faults, window, pieces.longest)
    dense = None if records.dense is None else _dense(records, pieces, window, rate)
    flat = torch.from_numpy(np.concatenate(pieces.series, 1))
    missing = torch.isnan(flat).any(0)
    any_missing = bool(missing.any())
    rest = flat.nanmean(1, keepdim=True).nan_to_num_(0.0)
    flat.nan_to_num_(0.0)
    start, span = torch.from_numpy(np.concatenate(pieces.starts)), torch.arange(window)

    def fetch(ids: Tensor) -> tuple[Tensor, Tensor | None]:
        at = start[ids][:, None] + span
        return flat[:, at].transpose(0, 1), ~missing[at] if any_missing else None

    labels, classes = encode_labels(records.labels)
    groups, people = encode_labels(records.groups if records.groups is not None else np.arange(len(records)).astype(str))
    which = np.repeat(np.arange(len(pieces.series)), [len(each) for each in pieces.starts])
    source, rate = np.array(pieces.records)[which], rate or records.rate
    if moves:
        begin = np.cumsum([0, *(x.shape[1] for x in pieces.series)])[which]
        fetch = moves(fetch, [of_array(x) for x in pieces.series], which, start.numpy() - begin, rate)
    return Samples(
        fetch, len(start), shape=(window,), channels=len(flat), axes=("t",),
        spacing=(1.0 / rate if rate else 1.0,), unit="s" if rate else "sample", labels=None if labels is None else labels[source],
        classes=classes, targets=None if records.targets is None else records.targets[source], dense=dense, groups=groups[source],
        group_names=people, test=None if records.test is None else records.test[source], name=lambda i: records.names[source[i]],
        faults=pieces.faults, notes=records.notes, cut=np.stack([source, start.numpy()], 1)), rest


def _pieces(records: Records, window: int, stride: int, rate: float | None) -> Pieces:
    """Reads all arrays, sets aside what has another number of channels, no window, or windows without a value."""
    series, pieces, offset = {}, Pieces(), 0
    for i, name in enumerate(records.names):
        try:
            series[i] = _resampled(channels_first(records.load(i), records.layout), records.rate, rate)
        except Unreadable as why:
            pieces.faults[name] = str(why)
    usual = Counter(len(x) for x in series.values()).most_common(1)
    for i, x in series.items():
        if len(x) != usual[0][0]:
            pieces.faults[records.names[i]] = f"has {len(x)} channels, the others {usual[0][0]}"
            continue
        pieces.longest = max(pieces.longest, x.shape[1])
        if x.shape[1] < window:
            pieces.faults[records.names[i]] = f"has {x.shape[1]} values, a window needs {window}"
            continue
        start = np.arange(0, x.shape[1] - window + 1, stride)
        filled = np.concatenate([[0], np.cumsum(~np.isnan(x).any(0))])
        full = filled[start + window] - filled[start] > 0
        if not full.all():
            pieces.faults[f"{records.names[i]} (windows)"] = f"{int((~full).sum())} windows without a value set aside"
        if not full.any():
            continue
        pieces.series.append(x)
        pieces.records.append(i)
        pieces.starts.append(start[full] + offset)
        offset += x.shape[1]
    return pieces


def _dense(records: Records, pieces: Pieces, window: int, rate: float | None) -> np.ndarray:
    """Class numbers of the values of every window ``(n, window)``, of the nearest value where series are resampled.

    Raises:
        Unusable: where a series has not a label a value.
    """
    cut, offset = [], 0
    for i, start in zip(pieces.records, pieces.starts, strict=True):
        labels, series = records.dense[i], channels_first(records.load(i), records.layout)
        if labels.shape != series.shape[1:]:
            raise Unusable(f"{records.names[i]} has {series.shape[1]} values in time, but dense has labels of "
                           f"{'x'.join(map(str, labels.shape))}: give one label a value in time")
        at = np.arange(len(labels)) if _kept(records.rate, rate) else np.arange(0, len(labels) - 1, records.rate / rate).round()
        cut.append(np.lib.stride_tricks.sliding_window_view(labels[at.astype(int)], window)[start - offset])
        offset += len(at)
    return np.concatenate(cut)


def _kept(own: float | None, rate: float | None) -> bool:
    """Whether series stay at the rate of their source."""
    return rate is None or own is None or own == rate


def _resampled(x: np.ndarray, own: float | None, rate: float | None) -> np.ndarray:
    if _kept(own, rate):
        return x
    at = np.arange(0, x.shape[1] - 1, own / rate)
    if rate < own:
        return resampled(x, Processing(rate=rate).ratio(own))[:, :len(at)]
    return np.stack([np.interp(at, np.arange(x.shape[1]), channel) for channel in x]).astype(np.float32)
