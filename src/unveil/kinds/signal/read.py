"""Recordings to windows: which channels they share, at which rate, and what is missing of them."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from unveil.data.annotations import Annotations, Part, of_windows
from unveil.data.processing import Found, Processing
from unveil.data.records import Records, Unreadable
from unveil.data.samples import Samples, encode_labels
from unveil.data.series import Series, of_array
from unveil.data.stored import Disk, Memory, Store
from unveil.errors import TooShort, Unusable


@dataclass(frozen=True)
class Reading:
    """How windows are cut.

    Attributes:
        window: values in time.
        stride: between starts of windows.
        pad: a series that is shorter than the window is one, the rest of it marked as missing; else it is set aside.
        native: each series keeps its rate.
        how: what is done to series before.
    """

    window: int
    stride: int
    pad: bool
    native: bool
    how: Processing


@dataclass
class Cut:
    """Windows of one series.

    Attributes:
        record: its number.
        room: its values.
        starts: of windows.
        count: values in time.
        channel: int64 ``(C,)``, as :class:`unveil.contracts.Batch` says.
        place: float32 ``(C, 3)``.
        rate: values a second, 0 where unknown.
        found: what came to light.
    """

    record: int
    room: Memory | Disk
    starts: np.ndarray
    count: int
    channel: np.ndarray
    place: np.ndarray
    rate: float
    found: Found


@dataclass
class Loaded:
    """Series that can be used.

    Attributes:
        series: by number of the record.
        faults: what was set aside, name -> reason.
        notes: what a person should know.
        longest: values of the longest one, after processing.
    """

    series: dict[int, Series] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    longest: int = 0


def first(records: Records) -> np.ndarray | Series | None:
    """The first record that can be read."""
    for i in range(len(records)):
        try:
            return records.load(i)
        except Unreadable:
            continue
    return None


def channels_first(x: np.ndarray, layout: str | None) -> np.ndarray:
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


def load(records: Records) -> Loaded:
    """All records as series; what cannot be read is set aside."""
    loaded = Loaded()
    for i, name in enumerate(records.names):
        try:
            held = records.load(i)
            if not isinstance(held, Series):
                held = of_array(channels_first(held, records.layout), records.channels, records.rate)
            if not held.channels:
                raise Unreadable("has no channels")
            loaded.series[i] = held
        except Unreadable as why:
            loaded.faults[name] = str(why)
    said = Counter(note for each in loaded.series.values() for note in each.notes)
    loaded.notes += [f"{note} (in {count} recordings)" if count > 1 else note for note, count in said.items()]
    return loaded


def differ(loaded: Loaded) -> bool:
    """Whether series have other channels than each other, by name and number, in any order."""
    return len({frozenset(each.channels) | {len(each.channels)} for each in loaded.series.values()}) > 1


def alike(loaded: Loaded, records: Records) -> None:
    """Keeps the series with the most usual channels, in one order; the others are set aside."""
    usual = Counter(tuple(sorted(each.channels)) for each in loaded.series.values()).most_common(1)
    order = next((each.channels for each in loaded.series.values() if tuple(sorted(each.channels)) == usual[0][0]), [])
    for i, each in list(loaded.series.items()):
        if sorted(each.channels) != sorted(order):
            lacks, more = (sorted(set(a) - set(b)) for a, b in ((order, each.channels), (each.channels, order)))
            what = "lacks the channel " + lacks[0] if lacks else "has the channel " + more[0] + " besides" if more else "has others"
            loaded.faults[records.names[i]] = (f"has {len(each.channels)} channels, most recordings {len(order)}, and {what}; "
                                               "--kind.montage mixed reads recordings with channels of their own")
            del loaded.series[i]
        elif each.channels != order:
            loaded.series[i] = _ordered(each, order)


def _ordered(series: Series, order: list[str]) -> Series:
    at = [series.channels.index(name) for name in order]
    pick = lambda held: None if held is None else [held[i] for i in at]
    return replace(series, read=lambda start, stop: series.read(start, stop)[at], channels=list(order), units=pick(series.units),
                   places=None if series.places is None else series.places[at])


def common_rate(loaded: Loaded, rate: float | None) -> float | None:
    """The rate that all series are brought to: ``rate``, else the lowest where they differ; None where nothing is to be done."""
    known = sorted({each.rate for each in loaded.series.values() if each.rate})
    unknown = sum(not each.rate for each in loaded.series.values())
    if unknown and known:
        loaded.notes.append(f"{unknown} of {len(loaded.series)} recordings say no rate: their values are taken as they are")
    if rate is None and len(known) > 1 and known[-1] / known[0] > 1.001:
        rate = known[0]
        said = ", ".join(f"{each:g}" for each in known[:6]) + " ..." * (len(known) > 6)
        loaded.notes.append(f"rates differ ({said} values a second): all are brought to the lowest; --kind.rate says another, "
                            "--kind.rates native keeps each")
    return rate


def cut(loaded: Loaded, records: Records, reading: Reading, mixed: bool) -> list[Cut]:
    """Processes all series and cuts them into windows; what gives none is set aside."""
    how, window, made, short = reading.how, reading.window, [], []
    loaded.longest = max(map(how.count, loaded.series.values()), default=0)
    for i, each in list(loaded.series.items()):
        if (count := how.count(each)) < window and not (reading.pad and count):
            loaded.faults[records.names[i]] = f"has {count} values, a window needs {window}"
            short.append(count)
            del loaded.series[i]
    if short and loaded.series:
        loaded.notes.append(f"{len(short)} of {len(records)} recordings are shorter than a window of {window} values and were set aside: "
                            f"--kind.short pad fills them up, --kind.window {max(short)} reads the longest of them")
    store = Store(list(loaded.series.values()), how)
    said = Counter(what for each in loaded.series.values() for what in how.cannot(each.rate))
    loaded.notes += [f"{what} ({times} recordings)" for what, times in said.items()]
    for i, each in loaded.series.items():
        name = records.names[i]
        try:
            room, found = store.put(each)
        except Unreadable as why:
            loaded.faults[name] = str(why)
            continue
        count, flat = how.count(each), [each.channels[c] for c in found.flat]
        if flat:
            more = f" and {len(flat) - 5} more" if len(flat) > 5 else ""
            loaded.faults[f"{name} (channels)"] = (f"{', '.join(flat[:5])}{more} never change" + "s" * (len(flat) == 1)
                                                   + (", left out" if mixed else ""))
        starts = np.arange(0, max(count - window, 0) + 1, reading.stride)
        kept = _held(room, found, starts, min(window, count), len(each.channels), mixed)
        if not kept.all():
            loaded.faults[f"{name} (windows)"] = f"{int((~kept).sum())} windows without a {'whole channel' if mixed else 'value'} set aside"
        if kept.any():
            rate = each.rate or 0.0
            made.append(Cut(i, room, starts[kept], count, *_places(each, found.flat if mixed else []), rate, found))
    return made


def _held(room: Memory | Disk, found: Found, starts: np.ndarray, window: int, channels: int, mixed: bool) -> np.ndarray:
    """Which windows have something in them: a channel without a gap where channels are mixed, else an instant at which all are there."""
    if mixed and len(found.flat) == channels:
        return np.zeros(len(starts), bool)
    if not found.missing:
        return np.ones(len(starts), bool)
    held = np.zeros(len(starts), bool)
    for some in range(0, len(starts), 4096):
        these = starts[some:some + 4096]
        gone = np.isnan(room.read(these[0], these[-1] + window))
        gone = gone if mixed else gone.any(1, keepdims=True)
        gone[:, found.flat if mixed else []] = True
        lost = np.concatenate([np.zeros((1, gone.shape[1]), np.int64), gone.cumsum(0)])
        lost = lost[these - these[0] + window] - lost[these - these[0]]
        held[some:some + 4096] = ((lost == 0) if mixed else (lost < window)).any(1)
    return held


def _places(series: Series, flat: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """What a batch says of each channel, and where it is."""
    channel, place = np.zeros(len(series.channels), np.int64), np.zeros((len(series.channels), 3), np.float32)
    known = np.zeros(len(channel), bool) if series.places is None else np.isfinite(series.places).all(1)
    if known.any():
        place[known] = series.places[known]
    taken = set()
    for c in np.flatnonzero(~known):
        code = zlib.crc32(series.channels[c].lower().encode()) % 255
        while code in taken and len(taken) < 255:
            code = (code + 1) % 255  # two channels of a recording must not look the same
        taken.add(code)
        channel[c] = 1 + code
    channel[flat] = -1
    return channel, place


class Windows:
    """Fetch of windows.

    Args:
        cuts: of all series.
        reading: how they were cut.
        mixed: whether samples say which channels they have.
    """

    def __init__(self, cuts: list[Cut], reading: Reading, mixed: bool):
        self.cuts, self.window, self.mixed, self.native = cuts, reading.window, mixed, reading.native
        self.channels = max(len(each.channel) for each in cuts)
        self.starts = np.concatenate([each.starts for each in cuts])
        self.which = np.repeat(np.arange(len(cuts)), [len(each.starts) for each in cuts])
        self.whole = not any(each.count < self.window or (each.found.missing and not mixed) for each in cuts)

    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor | None] | tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        ids = ids.numpy()
        values = np.zeros((len(ids), self.channels, self.window), np.float32)
        valid = None if self.whole else np.ones((len(ids), self.window), bool)
        channel = np.full((len(ids), self.channels), -1, np.int64)
        place = np.zeros((len(ids), self.channels, 3), np.float32)
        for row, (which, start) in enumerate(zip(self.which[ids], self.starts[ids])):
            held = self.cuts[which]
            many, size = len(held.channel), min(self.window, held.count)
            x = values[row, :many, :size]
            x[:] = held.room.read(start, start + size).T
            if valid is not None:
                valid[row, size:] = False
            if self.mixed:
                channel[row, :many], place[row, :many] = held.channel, held.place
            if held.found.missing or held.found.flat:
                self._blank(x, held, row, channel, valid)
        place[channel < 0] = 0
        valid = None if valid is None else torch.from_numpy(valid)
        more = {"channel": torch.from_numpy(channel), "place": torch.from_numpy(place)} if self.mixed else {}
        if self.native:
            more["rate"] = torch.tensor([self.cuts[which].rate for which in self.which[ids]], dtype=torch.float32)
        return (torch.from_numpy(values), valid, more) if more else (torch.from_numpy(values), valid)

    def _blank(self, x: np.ndarray, held: Cut, row: int, channel: np.ndarray, valid: np.ndarray | None) -> None:
        """What is missing is 0, and so is a channel that is not whole where channels are mixed."""
        gone = np.isnan(x)
        if self.mixed:
            absent = gone.any(1) | (held.channel < 0)
            channel[row, :len(absent)][absent] = -1
            x[absent] = 0
        else:
            x[gone] = 0
            if valid is not None:
                valid[row, :x.shape[1]] &= ~gone.any(0)


def none(faults: dict[str, str], window: int, longest: int, more: str = "") -> Unusable:
    """That no recording gives a window, with what became of the first ones."""
    reasons = "; ".join(f"{name}: {why}" for name, why in list(faults.items())[:3])
    said = f"no recording gives a window of {window} values. {reasons}. Shorter windows: --kind.window {max(8, window // 2)}{more}"
    return TooShort(said, "window", longest) if longest < window else Unusable(said)


def samples(cuts: list[Cut], loaded: Loaded, records: Records, reading: Reading, mixed: bool, moves: Callable | None) -> Samples:
    """Samples of all windows; ``moves`` makes a fetch, the series it reads, which one each window is of, its first value there, and the
    rate one with more extras."""
    if not cuts:
        raise none(loaded.faults, reading.window, loaded.longest, "; --kind.short pad fills windows up")
    windows = Windows(cuts, reading, mixed)
    source = np.repeat([each.record for each in cuts], [len(each.starts) for each in cuts])
    labels, notes = _labels(cuts, loaded, records, reading, source)
    labels, classes = encode_labels(labels)
    groups, people = encode_labels(records.groups if records.groups is not None else np.arange(len(records)).astype(str))
    rate = reading.how.rate or next((each.rate for each in cuts if each.rate), None)
    rate = None if reading.native else rate
    fetch = windows
    if moves:
        series = [replace(loaded.series[each.record], read=lambda a, b, room=each.room: room.read(a, b).T, length=each.count)
                  for each in cuts]
        fetch = moves(windows, series, windows.which, windows.starts, rate)
    return Samples(
        fetch, len(source), shape=(reading.window,), channels=windows.channels, axes=("t",),
        spacing=(1.0 / rate if rate else 1.0,), unit="s" if rate else "sample", labels=labels, classes=classes,
        targets=None if records.targets is None else records.targets[source],
        dense=None if records.dense is None else _dense(cuts, loaded, records, reading), groups=groups[source], group_names=people,
        test=None if records.test is None else records.test[source], name=lambda i: records.names[source[i]], faults=loaded.faults,
        notes=[*records.notes, *loaded.notes, *notes], cut=np.stack([source, windows.starts], 1), mixed=mixed)


def _labels(cuts: list[Cut], loaded: Loaded, records: Records, reading: Reading, source: np.ndarray) -> tuple[np.ndarray | None, list[str]]:
    """Names of the classes of all windows: those of their records, or what was annotated of each window; and what to say of them."""
    held = [loaded.series[each.record] for each in cuts]
    if all(series.annotations is None for series in held):
        return None if records.labels is None else records.labels[source], []
    parts = []
    for each, series in zip(cuts, held, strict=True):
        rate = (series.rate or 1.0) * float(reading.how.ratio(series.rate))
        parts.append(Part(series.annotations or Annotations(), each.starts / rate, min(reading.window, each.count) / rate,
                          1 / (series.rate or 1.0)))
    return of_windows(parts)


def means(samples: Samples) -> Tensor:
    """Mean of each channel ``(C, 1)`` over some windows."""
    total, count = torch.zeros(samples.channels, 1, dtype=torch.float64), 0.0
    for part in samples.some().split(64):
        batch = samples.batch(part)  # what is missing of it is 0
        total += batch.values.double().sum((0, 2))[:, None]
        count += batch.values[:, 0].numel() if batch.valid is None else int(batch.valid.sum())
    return (total / max(count, 1.0)).float()


def _dense(cuts: list[Cut], loaded: Loaded, records: Records, reading: Reading) -> np.ndarray:
    """Class numbers of the values of every window, of the nearest value where series are resampled, -1 where a window is filled up.

    Raises:
        Unusable: where a series has not a label a value.
    """
    rows = []
    for each in cuts:
        labels, series = np.asarray(records.dense[each.record]), loaded.series[each.record]
        if labels.shape != (series.length,):
            raise Unusable(f"{records.names[each.record]} has {series.length} values in time, but dense has labels of "
                           f"{'x'.join(map(str, labels.shape))}: give one label a value in time")
        at = np.arange(each.count) / float(reading.how.ratio(series.rate))
        labels = labels[np.minimum(at.round().astype(int), series.length - 1)]
        labels = np.concatenate([labels, np.full(max(0, reading.window - len(labels)), -1, labels.dtype)])
        rows.append(np.lib.stride_tricks.sliding_window_view(labels, reading.window)[each.starts])
    return np.concatenate(rows)
