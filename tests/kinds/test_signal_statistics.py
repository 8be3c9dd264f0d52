"""Statistics of series: each against numpy or scipy, over what is measured alone, and free of slots where channels are mixed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import signal, stats

from unveil.contracts import Batch
from unveil.kinds.signal import Signal
from unveil.kinds.signal.describe import AROUND, BANDS, MOMENTS, OCTAVES, SHAPES, about, bands, over_channels, statistics

LENGTH, CHANNELS = 200, 3
FIGURES = len(MOMENTS) + len(SHAPES) + OCTAVES


def series(count: int = 6, length: int = LENGTH) -> np.ndarray:
    """Smooth and rough ones, at levels and scales of their own."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(count, CHANNELS, length))
    x[1::2] = signal.lfilter([1.0], [1.0, -1.7, 0.8], x[1::2])
    return (x * draw.uniform(0.1, 10, (count, CHANNELS, 1)) + draw.normal(size=(count, CHANNELS, 1))).astype(np.float32)


def batch_of(x: np.ndarray, **more) -> Batch:
    ids = torch.arange(len(x))
    return Batch(torch.as_tensor(x), ids, ids, **more)


def figures(batch: Batch, rate: float | None = None) -> dict[str, np.ndarray]:
    """By name, ``(B, C)``."""
    found = statistics(batch, rate).double().unflatten(1, (-1, batch.values.shape[1])).numpy()
    return dict(zip((*MOMENTS, *SHAPES, *(f"band {k}" for k in range(len(bands(1000, rate))))), found.swapaxes(0, 1), strict=True))


def longest(flags: np.ndarray) -> int:
    return max(len(run) for run in "".join("x" if flag else " " for flag in flags).split(" "))


def autocorrelation(x: np.ndarray) -> np.ndarray:
    z = x - x.mean()
    return np.correlate(z, z, "full")[len(x) - 1:] / (z @ z)


def slow(x: np.ndarray) -> dict[str, float]:
    """Of one channel without missing values, one figure after the other."""
    z, auto = (x - x.mean()) / x.std(), autocorrelation(x)
    counts = np.histogram(x, bins=10)[0]
    minimum = [k for k in range(1, len(x) - 1) if auto[k] < auto[k - 1] and auto[k] < auto[k + 1]]
    at, power = signal.periodogram(z, 1.0, np.hanning(len(x)), detrend=False)
    return {"mean": x.mean(), "deviation": x.std(ddof=1), "least": x.min(), "greatest": x.max(),
            "mean difference": np.abs(np.diff(x)).mean(), "skewness": stats.skew(x), "kurtosis": stats.kurtosis(x, fisher=False),
            "reversal": (np.diff(z) ** 3).mean(), "entropy": stats.entropy(counts), "crossings": np.mean(np.diff(z > 0)),
            "longest above": longest(z > 0) / len(x), "first zero": np.argmax(auto <= 0) / len(x), "first minimum": minimum[0] / len(x),
            "centroid": (at * power).sum() / power.sum() / 0.5}


def test_each_figure_is_that_of_numpy_and_scipy():
    x = series()
    found = figures(batch_of(x))
    for b in range(len(x)):
        for c in range(CHANNELS):
            for name, value in slow(x[b, c].astype(np.float64)).items():
                assert found[name][b, c] == pytest.approx(value, rel=2e-3, abs=2e-4), name


@pytest.mark.parametrize("length, rate", [(LENGTH, None), (LENGTH, 50.0), (LENGTH, 250.0), (256, 128.0)])
def test_band_powers_are_those_of_a_periodogram(length, rate):
    x = series(length=length)
    found, ends = figures(batch_of(x), rate), bands(length, rate)
    at, power = signal.periodogram(x.astype(np.float64), 1.0, np.hanning(length), detrend="constant", scaling="density")
    for k, (low, high) in enumerate(ends):
        inside = (at >= low - 1e-9) & (at < high - 1e-9)
        wanted = np.log(power[..., inside].sum(-1) / length)
        assert inside.any() and np.abs(found[f"band {k}"] - wanted).max() < 0.03


def test_bands_are_those_of_eeg_where_the_rate_and_the_window_hold_them():
    assert bands(128, 250.0) == [(low / 250, high / 250) for low, high in BANDS.values()]
    for length, rate in ((128, None), (128, 50.0), (64, 250.0)):
        ends = sorted(bands(length, rate))
        assert len(ends) == OCTAVES and ends[0][0] == 0 and all(a[1] == b[0] for a, b in pairwise(ends))
    tone = np.sin(2 * np.pi * 10 * np.arange(500) / 250)[None, None].astype(np.float32)
    alpha, *others = (figures(batch_of(tone), 250.0)[f"band {k}"].item() for k in (2, 0, 1, 3, 4))
    assert alpha > max(others) + 5


def test_a_channel_at_a_rate_of_its_own_has_its_bands_in_hertz():
    tone = lambda rate: np.sin(2 * np.pi * 10 * np.arange(500) / rate)
    x = np.stack([tone(250), tone(125)])[:, None].astype(np.float32)
    batch = batch_of(x, extras={"rate": torch.tensor([250.0, 125.0])})
    powers = statistics(batch, None)[:, -5:]
    assert (powers.argmax(1) == 2).all()


def test_the_five_numbers_of_before_are_still_there():
    x = torch.as_tensor(series())
    before = torch.cat([x.mean(-1), x.std(-1), x.amin(-1), x.amax(-1), x.diff(dim=-1).abs().mean(-1)], 1)
    torch.testing.assert_close(statistics(batch_of(series()), None)[:, :5 * CHANNELS], before, rtol=1e-4, atol=1e-4)


def test_what_is_missing_does_not_count():
    """A series of which the second half is missing has the moments and shapes of its first half."""
    x = series()
    valid = torch.arange(LENGTH).expand(len(x), -1) < LENGTH // 2
    holed = figures(batch_of(np.where(valid[:, None], x, 0), valid=valid))
    half = figures(batch_of(x[..., :LENGTH // 2].copy()))
    for name in (*MOMENTS, "skewness", "kurtosis", "reversal", "entropy", "crossings"):
        np.testing.assert_allclose(holed[name], half[name], rtol=1e-3, atol=1e-4, err_msg=name)
    for name in ("longest above", "first zero", "first minimum"):
        np.testing.assert_allclose(holed[name] * 2, half[name], rtol=1e-5, err_msg=name)


def test_a_scale_moves_the_powers_and_no_shape():
    x = series()
    one, ten = figures(batch_of(x)), figures(batch_of(10 * x + 3))
    for name in SHAPES:
        np.testing.assert_allclose(one[name], ten[name], rtol=5e-3, atol=2e-3, err_msg=name)
    for k in range(OCTAVES):
        np.testing.assert_allclose(ten[f"band {k}"] - one[f"band {k}"], np.log(100), atol=2e-2)


@pytest.mark.parametrize("length", [1, 2, 3, 64])
def test_series_that_stand_still_or_are_short_have_finite_figures(length):
    x = np.full((2, CHANNELS, length), 5.0, np.float32)
    assert statistics(batch_of(x), None).isfinite().all()
    nothing = batch_of(np.zeros_like(x), valid=torch.zeros(2, length, dtype=torch.bool))
    assert statistics(nothing, 250.0).isfinite().all()


def test_quantiles_over_channels_are_those_of_numpy():
    draw = np.random.default_rng(0)
    x, there = draw.normal(size=(20, 4, 7)), draw.uniform(size=(20, 7)) < 0.6
    there[:, 0] = True
    found = over_channels(torch.as_tensor(x), torch.as_tensor(there)).numpy()
    for b in range(20):
        some = x[b][:, there[b]]
        wanted = np.stack([some.mean(1), some.std(1), *np.quantile(some, [0.1, 0.5, 0.9], axis=1)], 1)
        np.testing.assert_allclose(found[b], wanted, atol=1e-6)


def test_statistics_of_mixed_channels_do_not_depend_on_slots():
    x = series()
    channel = torch.tensor([[0, 0, 1]]).repeat(len(x), 1)
    place = torch.tensor([[0.0, 0.0, 1.0], [-0.6, 0.0, 0.8], [0.0, 0.0, 0.0]]).repeat(len(x), 1, 1)
    plain = batch_of(x, extras={"channel": channel, "place": place})
    order = [2, 0, 1]
    turned = batch_of(np.concatenate([x[:, order], np.zeros_like(x[:, :2])], 1),
                      extras={"channel": torch.cat([channel[:, order], torch.full((len(x), 2), -1)], 1),
                              "place": torch.cat([place[:, order], torch.zeros(len(x), 2, 3)], 1)})
    assert statistics(plain, None).shape == (len(x), FIGURES * 5 + OCTAVES * len(AROUND))
    torch.testing.assert_close(statistics(plain, None), statistics(turned, None), rtol=1e-4, atol=1e-4)
    none = replace(plain, values=torch.zeros_like(plain.values), extras={"channel": torch.full_like(channel, -1), "place": 0 * place})
    assert statistics(none, None).isfinite().all()


def test_powers_about_a_place_are_means_over_what_is_near():
    draw = np.random.default_rng(0)
    found, place, placed = draw.normal(size=(3, 2, 5)), draw.normal(size=(3, 5, 3)), draw.uniform(size=(3, 5)) < 0.6
    place /= np.linalg.norm(place, axis=-1, keepdims=True)
    placed[2] = False
    told = about(*map(torch.as_tensor, (found, place, placed))).numpy().reshape(3, 2, len(AROUND))
    for b, f, a in np.ndindex(told.shape):
        weight = [np.exp(-((AROUND[a] - place[b, c]) ** 2).sum() / (2 * 0.3**2)) for c in range(5) if placed[b, c]]
        near = [found[b, f, c] for c in range(5) if placed[b, c]]
        assert told[b, f, a] == pytest.approx(np.average(near, weights=weight) if near else 0.0, abs=1e-6)


def test_the_kind_knows_the_rate_of_its_data():
    from unveil.data.records import Records
    draw = np.random.default_rng(0)
    made = [draw.normal(size=(2, 500)) for _ in range(2)]
    records = Records(["a", "b"], made.__getitem__, layout="ct", rate=250.0)
    kind = Signal(window=250)
    batch = kind.open(records).batch(torch.arange(2))
    assert torch.equal(kind.statistics(batch), statistics(batch, 250.0))
    assert not torch.equal(kind.statistics(batch), statistics(batch, None))
