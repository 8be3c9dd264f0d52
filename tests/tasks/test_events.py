"""Events: joined, merged, cut and matched against plain loops over time, and a task that counts what was planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benches import bench_of

from unveil.data.samples import Samples
from unveil.data.split import Split
from unveil.tasks.bench import Bench, Way
from unveil.tasks.events import Events, any_overlap, joined, majority, merged, split_long, stretches
from unveil.tasks.task import judge


def windows(labels: list[list[int]], features: list[list[int]] | None = None, *, length: int = 4, stride: int = 4, rate: float | None = 2.0,
            classes: tuple[str, ...] = ("rest", "event")) -> Samples:
    """Recordings that are cut into windows with a label each; a feature says a class, the label's where none is given."""
    flat, owner = np.concatenate(labels), np.repeat(np.arange(len(labels)), [len(each) for each in labels])
    start = np.concatenate([stride * np.arange(len(each)) for each in labels])
    x = torch.nn.functional.one_hot(torch.as_tensor(np.concatenate(features or labels)), len(classes)).float()
    return Samples(lambda ids: (x[ids][..., None].expand(-1, -1, length), None), len(flat), shape=(length,), channels=len(classes),
                   axes=("t",), spacing=(1.0 / rate if rate else 1.0,), unit="s" if rate else "sample", labels=flat,
                   classes=list(classes), groups=owner, cut=np.stack([owner, start], 1))


def judged(labels, features=None, task: Events | None = None, **how) -> dict[str, dict]:
    classes = len(how.get("classes", (0, 0)))
    test = windows(labels, features, **how)
    train = windows([[0, 0, 1, 0, 0, 2 % classes, 1] * 3, [0, 1, 0, classes - 1] * 5 + [0] * 5], **how)
    bench = Bench(Split(train, test, "made up"), {"features": Way(lambda batch: batch.values[..., 0])})
    rows, left = judge(bench, [task or Events()])
    return {row["metric"]: row for row in rows} | left


def slow_overlap(true, found, before, after, step=0.25) -> tuple[list[bool], list[bool]]:
    """On a fine grid of time."""
    at = np.arange(-20, 200, step) + step / 2
    inside = lambda begin, end: (at > begin) & (at < end)
    hits = [any((inside(a - before, b + after) & inside(c, d)).any() for c, d in found) for a, b in true]
    return hits, [not any((inside(a - before, b + after) & inside(c, d)).any() for a, b in true) for c, d in found]


def made(draw, count: int) -> np.ndarray:
    ends = np.sort(draw.choice(np.arange(160), 2 * count, replace=False)).reshape(-1, 2)
    return ends.astype(float)


@pytest.mark.parametrize("before, after", [(0, 0), (3, 7)])
def test_overlaps_are_those_on_a_grid_of_time(before, after):
    draw = np.random.default_rng(0)
    for _ in range(50):
        true, found = made(draw, draw.integers(0, 6)), made(draw, draw.integers(0, 6))
        hits, alarms = any_overlap(true, found, before, after)
        assert (hits.tolist(), alarms.tolist()) == slow_overlap(true, found, before, after)


def test_events_that_touch_do_not_overlap():
    hits, alarms = any_overlap(np.array([[0.0, 10.0]]), np.array([[10.0, 12.0]]))
    assert not hits[0] and alarms[0]
    assert any_overlap(np.array([[0.0, 10.0]]), np.array([[10.0, 12.0]]), after=1.0)[0][0]


def test_windows_are_joined_unless_time_is_missing_between_them():
    begin = np.array([0.0, 2, 4, 6, 20, 22])
    flags = np.array([True, True, False, True, True, True])
    assert joined(flags, begin, begin + 2).tolist() == [[0, 4], [6, 8], [20, 24]]
    assert joined(np.zeros(6, bool), begin, begin + 2).shape == (0, 2)
    assert joined(np.zeros(0, bool), begin[:0], begin[:0]).shape == (0, 2)


def test_events_are_merged_and_long_ones_cut():
    events = np.array([[0.0, 5], [7, 9], [20, 30]])
    assert merged(events, 3).tolist() == [[0, 9], [20, 30]] and merged(events, 2).tolist() == events.tolist()
    assert merged(events[:0], 3).shape == (0, 2)
    assert split_long(events, 4).tolist() == [[0, 4], [4, 5], [7, 9], [20, 24], [24, 28], [28, 30]]
    assert split_long(np.array([[0.0, 8.0]]), 4).tolist() == [[0, 4], [4, 8]] and split_long(events, 0) is events


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_windows_share_out_the_time_of_a_recording(stride):
    samples = windows([[0, 1, 0, 0], [1, 0]], stride=stride)
    for at, begin, end in stretches(samples):
        middle = (samples.cut[at, 1] + 2) / 2
        assert (begin < middle).all() and (middle < end).all() and ((end - begin) <= 2).all()
        assert (begin[1:] >= end[:-1] - 1e-9).all() and (stride > 4 or np.allclose(begin[1:], end[:-1]))
        assert np.allclose(end - begin, min(stride, 4) / 2)


def test_samples_in_any_order_are_the_same():
    samples = windows([[0, 1, 1, 0, 1], [0, 1, 0]])
    order = np.array([7, 0, 3, 1, 6, 2, 5, 4])
    turned = samples.subset(order)
    for (at, *times), (other, *others) in zip(stretches(samples), stretches(turned), strict=True):
        assert (samples.cut[at] == turned.cut[other]).all() and np.allclose(times, others)


def test_what_is_planted_is_counted():
    """Windows of 2 s: three events, one missed; two false alarms in 30 windows, so a minute."""
    truth = [[0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]]
    said = [[0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]]
    rows = judged(truth, said)
    values = {metric: row["value"] for metric, row in rows.items()}
    assert values == pytest.approx({"sensitivity": 2 / 3, "precision": 0.5, "F1": 4 / 7, "false alarms": 2 / (1 / 60)})
    assert rows["false alarms"]["direction"] == "lower" and rows["false alarms"]["unit"] == "1/h" and rows["F1"]["n_test"] == 30
    late = judged(truth, said, Events(after=8.0))
    assert late["sensitivity"]["value"] == 1.0 and late["precision"]["value"] == 1.0, "within 8 s after the events"
    assert judged(truth, said, Events(least=3.0))["sensitivity"]["value"] == 0.0, "answers of one window are dropped"


def test_classes_are_events_of_their_own_kind():
    rows = judged([[0, 1, 0, 2, 0, 0]], [[0, 2, 0, 2, 0, 0]], classes=("rest", "a", "b"))
    assert rows["sensitivity"]["value"] == 0.5 and rows["precision"]["value"] == 0.5
    rest = judged([[0, 1, 0, 0]], [[0, 1, 0, 0]], Events(background="event"))
    assert rest["sensitivity"]["value"] == 1.0 and "background event" in rest["F1"]["protocol"]


def test_classes_of_values_serve_where_windows_have_none():
    truth = [[0, 1, 1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1, 1, 0]]
    test, train = windows(truth), windows([[0, 0, 1, 0, 0, 0, 1] * 3, [0, 1, 0, 1] * 5 + [0] * 5])
    for side in (test, train):
        side.dense = np.repeat(side.labels[:, None], 4, 1)
        side.dense[:, 0] = -1
        side.labels, side.classes = None, []
    held = Bench(Split(train, test, "made up"), {"features": Way(lambda batch: batch.values[..., 0])})
    found = {row["metric"]: row["value"] for row in judge(held, [Events()])[0]}
    assert found == {"sensitivity": 1.0, "precision": 1.0, "F1": 1.0, "false alarms": 0.0}


def test_a_window_has_the_class_of_most_of_its_values():
    assert majority(np.array([[0, 1, 1, -1], [2, 2, 0, 0], [-1, -1, -1, -1], [-1, -1, -1, 1]])).tolist() == [1, 0, -1, 1]


def test_what_it_needs_is_told():
    assert "rate is known" in judged([[0, 1, 0]], rate=None)["events"]
    assert "change within a recording" in judged([[0, 0, 0], [1, 1]])["events"]
    assert "'nothing'" in judged([[0, 1, 0]], task=Events(background="nothing"))["events"]
    bench = bench_of(windows([[0, 1, 0]] * 8))
    bench.split.test.cut = None
    assert "recordings" in Events().lacks(bench, "features")
