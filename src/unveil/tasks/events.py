"""Events in recordings: when something begins and ends, from what is said of window after window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from unveil.contracts import NotNegative
from unveil.data.samples import Samples
from unveil.tasks.bench import Bench
from unveil.tasks.linear import fit, predict, probe, protocol
from unveil.tasks.result import Result, jackknife, pseudovalues
from unveil.tasks.task import Task


class Events(Task):
    """The linear probe's answers to neighbouring windows, joined to events and compared with those of the labels by any overlap.

    An event is a stretch of windows of one class other than the background. It is found where an event of the same class overlaps it,
    made longer by the tolerances; an answer that overlaps none is a false alarm. Each window stands for the time about its middle that no
    neighbour is nearer to. Where windows have no labels of their own that change within a recording, their classes are those of most of
    their values, where these are labelled. The code of SzCORE (Dan et al. 2024, arXiv 2402.13005) scores seizures with ``before`` 30,
    ``after`` 60, ``merge`` 90 and ``longest`` 300 seconds.

    Args:
        background: the class that is no event; None for the most frequent of what is learned from.
        before: seconds by which an answer may come too early.
        after: seconds by which it may come too late.
        merge: seconds; two events with less between them are one.
        least: seconds; what is found and shorter is dropped.
        longest: seconds; longer events are cut into several; 0 cuts none.
    """

    name = "events"

    def __init__(self, *, background: str | None = None, before: NotNegative = 0.0, after: NotNegative = 0.0, merge: NotNegative = 0.0,
                 least: NotNegative = 0.0, longest: NotNegative = 0.0):
        self.background, self.before, self.after = background, before, after
        self.merge, self.least, self.longest = merge, least, longest

    def lacks(self, bench: Bench, name: str) -> str:
        test = bench.split.test
        if test.cut is None or test.unit != "s":
            return "windows of recordings whose rate is known"
        if (found := _told(bench)) is None:
            return "labels that change within a recording that is scored on, of windows or an array called dense"
        if self.background is not None and self.background not in found[2]:
            return f"a class {self.background!r}, which is to be the background; there are {', '.join(found[2])}"
        return ""

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        (train, truth, classes), test = _told(bench), bench.split.test
        background = np.bincount(train[train >= 0]).argmax() if self.background is None else classes.index(self.background)
        told = predict(_probe(bench, name, train, len(classes))[None], bench.sides(name)[1].features)[0].cpu().numpy()
        sums = np.zeros((bench.part.max() + 1, 4))
        for at, begin, end in stretches(test):
            known = truth[at] >= 0
            sums[bench.part[at[0]], 3] += (end - begin)[known].sum() / 3600
            for c in set(range(len(classes))) - {background}:
                true = self._tidy(joined((truth[at] == c) & known, begin, end), 0.0)
                found = self._tidy(joined((told[at] == c) & known, begin, end), self.least)
                hits, alarms = any_overlap(true, found, self.before, self.after)
                sums[bench.part[at[0]], :3] += hits.sum(), len(true), alarms.sum()
        facts = dict(task=self.name, labels=None, n_train=int((train >= 0).sum()), at={}, protocol=(
            f"{protocol(bench, None)}; answers to neighbouring windows joined to events, any overlap, tolerance {self.before:g} s before "
            f"and {self.after:g} s after, merged within {self.merge:g} s; background {classes[background]}; "
            f"{sums[:, 1].sum():.0f} events in {sums[:, 3].sum():.3g} h"))
        sums = sums[sums[:, 3] > 0]
        for metric, (unit, direction, score) in METRICS.items():
            value = jackknife(sums, score)
            low, high = value.interval()
            low, high = max(low, 0.0), min(high, 1.0) if unit == "share" else high
            low, high = (low, high) if low < high < np.inf else (None, None)
            yield bench.figure(name, name, [value.value], low, high, metric=metric, unit=unit, direction=direction,
                               parts=pseudovalues(sums, score).tolist(), **facts)

    def _tidy(self, events: np.ndarray, least: float) -> np.ndarray:
        events = merged(events, self.merge)
        return split_long(events[events[:, 1] - events[:, 0] >= least], self.longest)


def _told(bench: Bench) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """Classes of the windows of both sides and their names; None where none changes within a recording that is scored on."""
    def made():
        sides = bench.split.train, bench.split.test
        changes = lambda labels: any(len(set(labels[at]) - {-1}) > 1 for at, *_ in stretches(sides[1]))
        if sides[0].labels is not None and changes(sides[1].labels):
            return sides[0].labels, sides[1].labels, sides[1].classes
        if any(side.dense is None for side in sides):
            return None
        found = [majority(side.dense) for side in sides]
        return (*found, [str(c) for c in range(1 + max(each.max() for each in found))]) if changes(found[1]) else None

    return bench.once("classes of windows", made)


def _probe(bench: Bench, name: str, labels: np.ndarray, classes: int) -> Tensor:
    """The linear probe of all labelled windows; that of all tasks where the labels are those of the samples."""
    if labels is bench.split.train.labels:
        return probe(bench, name)
    at, train = np.flatnonzero(labels >= 0), bench.sides(name)[0]
    groups = None if train.groups is None else train.groups[at]
    return bench.once(("probe of windows", name), lambda: fit(train.features[at].to(bench.device), labels[at], groups, classes, None))


def majority(dense: np.ndarray) -> np.ndarray:
    """The most frequent class of each row's values ``(n, T)``, of those that are labelled, the lowest of equals; -1 where none is."""
    counts = np.stack([(dense == c).sum(1) for c in range(max(0, int(dense.max())) + 1)], 1)
    return np.where(counts.any(1), counts.argmax(1), -1)


def stretches(samples: Samples) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each recording the positions of its windows in the order of time, and when each begins and ends to stand for its recording, in
    the unit of the samples: the time about its middle that no neighbour is nearer to, at most the window."""
    spacing, length = samples.spacing[0], samples.shape[0] * samples.spacing[0]
    for recording in np.unique(samples.cut[:, 0]):
        at = np.flatnonzero(samples.cut[:, 0] == recording)
        at = at[np.argsort(samples.cut[at, 1], kind="stable")]
        middle = samples.cut[at, 1] * spacing + length / 2
        half = np.minimum(np.diff(middle), length) / 2
        usual = half.min() if len(half) else length / 2
        yield at, middle - np.r_[usual, half], middle + np.r_[half, usual]


def joined(flags: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Beginnings and ends ``(k, 2)`` of stretches that are flagged, of windows in the order of time; a gap between windows ends one."""
    gap = begin[1:] > end[:-1] + 1e-6 * (end[:-1] - begin[:-1])
    first = flags & np.r_[True, ~flags[:-1] | gap]
    last = flags & np.r_[~flags[1:] | gap, True]
    return np.stack([begin[first], end[last]], 1)


def merged(events: np.ndarray, gap: float) -> np.ndarray:
    """Events ``(k, 2)`` in the order of time, where two with less than ``gap`` between them are one."""
    apart = events[1:, 0] - events[:-1, 1] >= gap if len(events) else np.zeros(0, bool)
    return np.stack([events[np.r_[True, apart][:len(events)], 0], events[np.r_[apart, True][:len(events)], 1]], 1)


def split_long(events: np.ndarray, longest: float) -> np.ndarray:
    """Events ``(k, 2)`` cut from their beginning into parts of at most ``longest``; as they are where that is 0."""
    if longest <= 0 or not len(events):
        return events
    many = np.maximum(np.ceil((events[:, 1] - events[:, 0]) / longest - 1e-9), 1).astype(int)
    begin = np.repeat(events[:, 0], many) + longest * (np.arange(many.sum()) - np.repeat(many.cumsum() - many, many))
    return np.stack([begin, np.minimum(begin + longest, np.repeat(events[:, 1], many))], 1)


def any_overlap(true: np.ndarray, found: np.ndarray, before: float = 0.0, after: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Which events were found and which of those that were found are false alarms.

    Args:
        true: beginnings and ends ``(k, 2)``.
        found: the same of what was answered ``(m, 2)``.
        before: what is added to each true event before its beginning.
        after: what is added after its end.

    Returns:
        bool ``(k,)`` and bool ``(m,)``.
    """
    wide = true + np.array([-before, after])
    meet = (wide[:, None, 0] < found[None, :, 1]) & (found[None, :, 0] < wide[:, None, 1])
    return meet.any(1), ~meet.any(0)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1e-12), 0.0)


METRICS = {  # of sums (times, 4): events that were found, events, false alarms, hours
    "sensitivity": ("share", "higher", lambda total: _share(total[:, 0], total[:, 1])),
    "precision": ("share", "higher", lambda total: _share(total[:, 0], total[:, 0] + total[:, 2])),
    "F1": ("share", "higher", lambda total: _share(2 * total[:, 0], total[:, 0] + total[:, 1] + total[:, 2])),
    "false alarms": ("1/h", "lower", lambda total: _share(total[:, 2], total[:, 3]))}
