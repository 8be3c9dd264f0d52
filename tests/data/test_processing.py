"""What is done to series before windows are cut: the same in blocks as in one, the same in a file as in memory, and right."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest
from scipy import signal

from unveil.data import processing, stored
from unveil.data.processing import Processing, process, resampled
from unveil.data.records import Unreadable
from unveil.data.series import Series, of_array
from unveil.data.stored import Memory, Store
from unveil.errors import Unusable


def noisy(channels: int, length: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 20, (channels, length)).cumsum(1) * 0.1 + rng.normal(0, 10, (channels, length)) + 4000).astype(np.float32)


def done(x: np.ndarray, how: Processing, rate: float | None = 250.0):
    series = of_array(x, rate=rate)
    room = Memory(how.count(series), len(x))
    found = process(series, how, room)
    return room.values.T, found


def test_nothing_asked_nothing_changed():
    x = noisy(3, 1000)
    y, found = done(x, Processing())
    assert np.array_equal(x, y) and not found.missing and not found.flat


@pytest.mark.parametrize("how", [Processing(band=(1.0, 40.0)), Processing(band=(0.0, 30.0), notch=50.0), Processing(band=(4.0, 1000.0)),
                                 Processing(rate=100.0), Processing(band=(1.0, 40.0), notch=50.0, rate=128.0, reference="average"),
                                 Processing(rate=400.0)])
def test_blocks_are_the_whole(monkeypatch, how):
    """To a ten-thousandth of the deviation, over an offset of four hundred deviations."""
    x = noisy(3, 40_000)
    whole, _ = done(x, how)
    monkeypatch.setattr(processing, "BLOCK", 3000)
    parts, _ = done(x, how)
    assert parts.shape == whole.shape and np.abs(parts - whole).max() < 1e-4 * whole.std(1).max() + 1e-3


def test_filters_are_what_scipy_does_to_the_whole():
    x = noisy(2, 5000)
    y, _ = done(x, Processing(band=(1.0, 40.0), notch=50.0))
    want = signal.sosfiltfilt(signal.butter(4, (1, 40), "bandpass", fs=250, output="sos"), x.astype(float))
    want = signal.filtfilt(*signal.iirnotch(50, 30, fs=250), want)
    middle = slice(500, -500)  # the last filter begins otherwise as sections than as a fraction
    np.testing.assert_allclose(y[:, middle], want[:, middle], atol=2e-3)


def test_no_filter_delays():
    t = np.arange(5000) / 250
    x = np.sin(2 * np.pi * 10 * t)[None].astype(np.float32)
    y, _ = done(x, Processing(band=(1.0, 40.0)))
    assert np.abs(y - x)[:, 500:-500].max() < 0.01, "a delay of one value would make 0.25"


@pytest.mark.parametrize("rate", [100.0, 128.0, 51.2])
def test_a_lower_rate_holds_no_alias(rate):
    """A tone above half of the new rate is gone, one below is what it would have been; linear interpolation passes both."""
    t = np.arange(20_000) / 250
    ratio = Processing(rate=rate).ratio(250.0)
    tone = lambda hz, t: np.sin(2 * np.pi * hz * t)
    inner = slice(400, -400)
    above = resampled(tone(0.5 * rate * 1.25, t)[None].astype(np.float32), ratio)[0, inner]
    below = resampled(tone(0.5 * rate * 0.8, t)[None].astype(np.float32), ratio)[0]
    at = np.arange(len(below)) / rate
    assert np.abs(above).max() < 2e-3 and np.abs(below - tone(0.5 * rate * 0.8, at))[inner].max() < 2e-3
    plain = np.interp(at, t, tone(0.5 * rate * 1.25, t))
    assert np.abs(plain[inner]).max() > 0.3, "which is why"


def test_resampling_against_a_sum_written_out():
    x = np.random.default_rng(0).normal(size=400)
    ratio = Fraction(2, 5)
    got = resampled(x[None].astype(np.float32), ratio)[0]
    taps = processing._sinc(2, 5) * 2
    half = len(taps) // 2
    for k in (60, 71, 90):
        place = Fraction(k) / ratio  # in values of x
        want = 0.0
        for n in range(400):
            at = round((place - n) * 2) + half
            if (place - n) * 2 == at - half and 0 <= at < len(taps):
                want += taps[at] * x[n]
        assert abs(got[k] - want) < 1e-5


def test_a_constant_stays():
    y = resampled(np.full((1, 1000), 4321.0, np.float32), Fraction(20, 51))
    assert np.abs(y - 4321).max() < 1e-2


def test_missing_values_stay_missing_and_alone():
    x = noisy(2, 4000)
    x[0, 1000:1100] = np.nan
    for how, first, last in ((Processing(band=(1.0, 40.0)), 1000, 1100), (Processing(rate=125.0), 500, 550)):
        y, found = done(x, how)
        gone = np.flatnonzero(np.isnan(y[0]))
        assert found.missing and not np.isnan(y[1]).any() and np.array_equal(gone, np.arange(first, last))


def test_scales():
    x = noisy(2, 5000)
    x[1] *= 100
    y, _ = done(x, Processing(scale="deviation"))
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(y.std(1), 1, atol=1e-3)
    before, _ = done(x, Processing(scale="robust"))
    x[0, ::100] += 1e4  # what a loose electrode does hardly moves a median, and would be all of a deviation
    y, _ = done(x, Processing(scale="robust"))
    lower, middle, upper = np.percentile(y[0], (25, 50, 75))
    assert abs(middle) < 1e-4 and abs((upper - lower) / 1.349 - 1) < 1e-4
    assert np.abs(y - before)[:, 1::100].max() < 0.1 and y[0].std() > 10


def test_a_channel_that_mostly_stands_still_is_not_blown_up():
    x = np.zeros((1, 2000), np.float32)
    x[0, :100] = 100
    y, _ = done(x, Processing(scale="robust"))
    assert np.abs(y).max() < 100


def test_flat_and_empty_channels_are_found_and_left_out_of_the_average():
    x = noisy(4, 3000)
    x[1], x[3] = 7.0, np.nan
    y, found = done(x, Processing(reference="average"))
    assert found.flat == [1, 3]
    np.testing.assert_allclose(y[0], (x[0] - x[2]) / 2, atol=1e-2)


def test_an_unknown_rate_lets_be():
    how = Processing(band=(1.0, 40.0), notch=50.0, rate=100.0)
    x = noisy(1, 500)
    assert np.array_equal(done(x, how, None)[0], x)
    assert how.cannot(None) == ["band (1.0, 40.0) left out where no rate is known", "notch 50.0 left out where no rate is known"]
    assert how.cannot(64.0) == ["no upper edge of 40 Hz at 64 values a second, which hold nothing above 32 Hz",
                                "no notch of 50 Hz at 64 values a second"]


@pytest.fixture
def little(tmp_path, monkeypatch):
    """A machine on which nothing fits into memory."""
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stored, "SHARE", 0.0)
    return tmp_path


def recorded(folder, x: np.ndarray) -> Series:
    (folder / "a.bin").write_bytes(x.tobytes())
    held = of_array(x, rate=250.0)
    held.origin = str(folder / "a.bin")
    return held


def test_a_file_holds_what_memory_would_and_is_made_once(little, monkeypatch):
    x, how = noisy(3, 9000), Processing(band=(1.0, 40.0), rate=100.0, scale="robust")
    x[2] = 1
    monkeypatch.setattr(processing, "BLOCK", 3000)
    series = recorded(little, x)
    store = Store([series], how)
    room, found = store.put(series)
    want, same = done(x, how)
    assert store.on_disk and found == same and found.flat == [2]
    assert np.array_equal(room.read(0, how.count(series)).T, want, equal_nan=True) and np.array_equal(room.read(70, 90).T, want[:, 70:90])
    monkeypatch.setattr(stored, "process", lambda *given: pytest.fail("it was processed again"))
    assert Store([series], how).put(series)[1] == found
    files = list((little / "cache" / "signals").iterdir())
    assert sorted(file.suffix for file in files) == [".f32", ".json"] and os.path.getsize(files[0].with_suffix(".f32")) == 4 * want.size


def test_another_setting_file_or_an_unfinished_one_is_made_anew(little, monkeypatch):
    x = noisy(2, 3000)
    series, made = recorded(little, x), []
    monkeypatch.setattr(stored, "process", lambda *given: made.append(given) or process(*given))
    usual = Processing(band=(1.0, 40.0))
    put = lambda how=usual: Store([series], how).put(series)
    put()
    put()
    assert len(made) == 1
    put(Processing(band=(1.0, 30.0)))
    assert len(made) == 2
    os.utime(series.origin, ns=(1, 1))
    put()
    assert len(made) == 3
    for file in (little / "cache" / "signals").glob("*.f32"):
        file.write_bytes(file.read_bytes()[:-4])
    put()
    assert len(made) == 4


def test_what_fails_midway_leaves_nothing(little):
    series = recorded(little, noisy(2, 3000))
    whole = series.read

    def read(start: int, stop: int):
        if stop > 1000:
            raise Unreadable("is damaged")
        return whole(start, stop)
    series.read = read
    with pytest.raises(Unreadable, match="is damaged"):
        Store([series], Processing()).put(series)
    assert not list((little / "cache" / "signals").iterdir())


def test_a_cache_that_vanishes_is_said(little):
    series = recorded(little, noisy(2, 3000))
    room, _ = Store([series], Processing()).put(series)
    room.path.unlink()
    with pytest.raises(Unusable, match=r"of the cache is gone or cut short: start the command again"):
        room.read(0, 10)


def test_more_recordings_than_files_may_be_open(little, monkeypatch):
    monkeypatch.setattr(stored, "OPEN", 2)
    store, rooms = None, []
    for i in range(5):
        (little / str(i)).mkdir()
        series = recorded(little / str(i), noisy(1, 100, i))
        store = store or Store([series], Processing())
        rooms.append(store.put(series)[0])
    for _ in range(2):
        for i, room in enumerate(rooms):
            assert np.array_equal(room.read(0, 100).T, noisy(1, 100, i))
    assert len(store.maps.held) == 2
