"""Movement elements against a plain search, one crossing after the other; what becomes of them in batches and crops."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from unveil.data.records import Records
from unveil.data.series import of_array
from unveil.errors import Unusable
from unveil.kinds.signal import Signal
from unveil.kinds.signal.movements import APART, SMALL, bands, elements, margin
from unveil.parts.movement import POINTS, taken_apart
from unveil.randomness import Generator

RATE = 40.0


def body(windows=3, length=160, seed=0, scale=0.3):
    state = np.random.RandomState(seed)
    time = np.arange(length) / RATE
    waves = [state.rand(windows, 3, 1) * np.sin(2 * np.pi * (f * time + state.rand(windows, 3, 1))) for f in (1.0, 2.3, 5.1)]
    quiet = 1 - 0.999 * (np.abs(time - 2.0) < 0.6)  # where stretches are small
    return scale * sum(waves) * quiet


def plainly(x, rate):
    """Elements of one window ``(A, T)``."""
    rows, time = [], np.arange(x.shape[1])
    for axis, y in enumerate(x):
        curve = CubicSpline(time, y)
        zeros = [brentq(curve, t, t + 1) for t in time[:-1] if y[t] * y[t + 1] < 0]
        kept = []
        for zero in zeros:
            if not kept or int(zero) - int(kept[-1]) > round(APART * rate):
                kept.append(zero)
        at = 0
        while at + 2 < len(kept):
            small = [np.abs(y[int(a):int(b) + 2]).max() < SMALL for a, b in pairwise(kept[at:])]
            if small[0] and small[1]:
                del kept[at + 1]
            else:
                at += 1
        for a, b in pairwise(kept):
            rows.append([*curve(np.linspace(a, b, POINTS)), (int(a) + int(b)) / 2 / len(time), axis, int(b) - int(a) + 2])
    return np.array(rows, np.float32)


def test_elements_are_those_of_a_plain_search():
    x = body()
    found = elements(x, None, RATE, None)
    for window, own in zip(x, found, strict=True):
        wanted = plainly(window, RATE)
        assert own.shape == wanted.shape and len(own) > 20
        np.testing.assert_allclose(own, wanted, atol=2e-6)
    waves, _, _, long = taken_apart(torch.from_numpy(np.concatenate(found)))
    small = waves.abs().amax(-1) < SMALL
    assert small.any() and long[small].max() > 10, "small neighbours were merged"


def test_the_waveform_keeps_size_and_sign_and_loses_duration():
    time = np.arange(160)
    fast, slow = (np.sin(np.pi * (time - 0.5) / half) for half in (8, 16))
    rows = [elements(0.4 * x[None, None], None, RATE, None)[0] for x in (fast, slow)]
    waves = [row[1 if row[1, 5] > 0 else 2, :POINTS] for row in rows]
    np.testing.assert_allclose(waves[0], waves[1], atol=2e-3)
    assert abs(waves[0].max() - 0.4) < 2e-3 and rows[0][:, 5].min() < 0
    assert np.median(rows[1][:, -1] - 2) == 2 * np.median(rows[0][:, -1] - 2) == 16


def test_elements_over_missing_values_are_left_out():
    x, missing = body(1), np.zeros((1, 160), bool)
    missing[0, 70] = True
    whole, left = elements(x, None, RATE, None)[0], elements(x, missing, RATE, None)[0]
    centre, half = whole[:, POINTS] * 160, (whole[:, -1] - 2) / 2
    over = (centre - half <= 70) & (centre + half + 1 >= 70)
    assert 0 < over.sum() < len(whole)
    np.testing.assert_array_equal(left, whole[~over])


def test_gravity_and_body_part_at_half_a_hertz():
    time = np.arange(2000) / 50
    slow, fast = np.full_like(time, 0.8), 0.3 * np.sin(2 * np.pi * 3 * time)
    own, gravity = bands((slow + fast)[None], 50.0)
    middle = slice(300, -300)
    assert np.abs(own[0] - fast)[middle].max() < 0.02 and np.abs(gravity[0] - slow)[middle].max() < 0.02
    with pytest.raises(Unusable, match="values a second"):
        bands(slow[None], 2.0)


def records(count=4, length=700, rate=RATE, **more):
    state = np.random.RandomState(5)
    x = [0.3 * np.cumsum(state.standard_normal((6, length)), 1).astype(np.float32) % 2 for _ in range(count)]
    return Records([str(i) for i in range(count)], x.__getitem__, layout="ct", rate=rate, **more)


def test_chunks_are_as_many_as_elements_on_average_and_read_new_data_alike():
    opened = {}
    for form in ("crossings", "chunks"):
        kind = Signal(window=200, movements=form)
        samples = kind.open(records())
        opened[form] = (taken_apart(samples.batch(torch.arange(len(samples))).extras["elements"])[2] >= 0).sum(1).float()
    assert opened["chunks"].unique().numel() == 1 and abs(opened["crossings"].mean() - opened["chunks"][0]) <= 1.5
    again = Signal(**kind.fixed(samples))
    again.open(records(2, 300))
    assert again.chunks == kind.chunks == opened["chunks"][0] / 3


def test_what_was_held_and_what_is_made_are_the_same():
    samples = Signal(window=200, movements="crossings").open(records())
    first, again = samples.batch(torch.tensor([3, 0, 3])), samples.batch(torch.tensor([3, 0, 3]))
    alone = samples.batch(torch.tensor([0]))
    assert torch.equal(first.extras["elements"], again.extras["elements"]) and first.extras["gravity"].shape == (3, 3, 200)
    count = (taken_apart(alone.extras["elements"])[2] >= 0).sum()
    assert torch.equal(alone.extras["elements"][0, :count], first.extras["elements"][1, :count])
    assert (taken_apart(first.extras["elements"])[2][1, count:] == -1).all() and not first.extras["elements"][1, count:, :POINTS].any()


def test_room_for_few_leaves_out_the_last_axis_first():
    few, all_ = (Signal(window=200, movements="crossings", most=most).open(records()).batch(torch.tensor([0])) for most in (16, 192))
    rows = few.extras["elements"][0]
    assert torch.equal(rows, all_.extras["elements"][0, :16]) and taken_apart(rows)[2].max() < 2


def test_recordings_give_the_elements_of_arrays():
    """Records that come as series of their own, and one of them shorter than a window."""
    arrays = records()
    values = [arrays.load(i) for i in range(4)] + [arrays.load(0)[:, :120]]
    names, kind = list("abcdef"), Signal(window=200, movements="crossings", short="pad")
    own = Records([str(i) for i in range(5)], lambda i: of_array(values[i], names, RATE))
    want, found = Signal(window=200, movements="crossings").open(arrays), kind.open(own)
    at = torch.tensor([3, 0, len(want) - 1])
    first, second = want.batch(at), found.batch(at)
    assert torch.equal(first.values, second.values) and all(torch.equal(x, second.extras[name]) for name, x in first.extras.items())
    short = found.batch(torch.tensor([len(want)]))
    _, centre, axis, long = taken_apart(short.extras["elements"])
    assert len(found) == len(want) + 1 and (axis >= 0).any() and ((centre * 200 + long / 2)[axis >= 0] <= 120).all()
    other = Records(["a", "b"], lambda i: of_array(values[i][:3 + i], names[:3 + i], RATE))
    with pytest.raises(Unusable, match="same channels at one rate"):
        kind.open(other)


def test_crops_hold_whole_elements_alone():
    kind = Signal(window=200, movements="crossings")
    batch = kind.open(records()).batch(torch.arange(6))
    view, = kind.view(batch, 1, area=(0.5, 0.5), size=0.5, strength=0.0, symmetry=False, generator=Generator("crop"))
    before, after = (taken_apart(x.extras["elements"]) for x in (batch, view))
    there, kept = before[2] >= 0, after[2] >= 0
    assert (kept.sum(1) < there.sum(1)).all() and (kept.sum(1) > 0).all() and not (kept & ~there).any()
    at = (view.box[:, :1, 0] * RATE + after[1] * 100)[kept]
    torch.testing.assert_close(at, before[1][kept] * 200, atol=1e-3, rtol=0)
    half = (after[3] - 2) / 2 / 100
    assert ((after[1] - half)[kept] >= -1e-5).all() and ((after[1] + half)[kept] <= 1 + 1e-5).all()


def test_what_cannot_be_is_refused():
    kind = Signal(window=200, movements="crossings")
    batch = kind.open(records()).batch(torch.arange(2))
    with pytest.raises(Unusable, match="no views with other values"):
        kind.view(batch, 1, area=(1.0, 1.0), size=1.0, strength=0.5, symmetry=False, generator=Generator("x"))
    assert kind.corruptions == () and Signal().corruptions
    with pytest.raises(Unusable, match="rate"):
        Signal(window=200, movements="crossings").open(records(rate=None))
    with pytest.raises(Unusable, match="accelerations"):
        Signal(window=200, movements="crossings", accelerations=(5, 6, 7)).open(records())


def test_windows_of_a_long_recording_are_filtered_as_the_whole_and_little_of_it_is_read():
    x = records(1, length=40 * 60 * 5).load(0)
    opened = Signal(window=200, movements="crossings").open(Records(["long"], lambda i: of_array(x, rate=RATE)))
    opened.fetch.held.clear()
    held, read = opened.fetch.series[0], []
    opened.fetch.series[0] = replace(held, read=lambda start, stop: (read.append(stop - start), held.read(start, stop))[1])
    body, gravity = bands(x[:3], RATE)
    for number in (0, 30, len(opened) - 1):
        start = int(opened.cut[number, 1])
        made = opened.batch(torch.tensor([number])).extras
        np.testing.assert_allclose(made["gravity"][0].numpy(), gravity[:, start:start + 200], atol=1e-5)
        whole = elements(body[None, :, start:start + 200], None, RATE, None)[0]
        assert torch.equal(made["elements"][0, :len(whole), POINTS + 1], torch.from_numpy(whole[:, POINTS + 1]))
        np.testing.assert_allclose(made["elements"][0, :len(whole)].numpy(), whole, atol=1e-3)
    assert max(read) <= 200 + 2 * margin(RATE)
