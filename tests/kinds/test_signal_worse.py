"""Corruptions of series beyond what conformance checks: stated ratios, where their power lies, and channels that are absent after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from unveil.kinds.signal import Signal
from unveil.kinds.signal.corrupt import LEVELS, SNR
from unveil.randomness import Generator
from unveil.testing.kinds import check_corruptions

ADDED = [name for name, (what, _) in LEVELS.items() if what == SNR]


def batch_of(kind: Signal, count: int = 64):
    return kind.planted(count, Generator("worse")).batch(torch.arange(count))


def added(name: str, rate: float | None, severity: int = 3, window: int = 500, count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """What a corruption adds ``(B, C, T)``, and the samples."""
    kind = Signal(window=window, rate=rate)
    batch = batch_of(kind, count)
    return (kind.corrupt(batch, name, severity, Generator("t")).values - batch.values).numpy(), batch.values.numpy()


def powers(x: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(x.shape[-1], 1 / rate), (np.abs(np.fft.rfft(x * np.hanning(x.shape[-1]))) ** 2).mean((0, 1))


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("rate", [None, 250.0])
def test_noise_of_every_kind_has_the_stated_ratio(name, rate):
    for severity, decibel in enumerate(LEVELS[name][1], 1):
        noise, x = added(name, rate, severity)
        assert 10 * np.log10(x.var(-1).mean() / (noise**2).mean()) == pytest.approx(decibel, abs=0.6)


@pytest.mark.parametrize("rate", [50.0, 250.0])
@pytest.mark.parametrize("montage", ["same", "mixed"])
def test_at_known_rates_corruptions_keep_what_they_must(rate, montage):
    kind = Signal(window=64, rate=rate, montage=montage)
    check_corruptions(kind, batch_of(kind))


def test_a_rate_of_each_sample_is_its_own():
    kind = Signal(window=500)
    batch = replace(batch_of(kind, 40), extras={"rate": torch.tensor([250.0, 500.0] * 20)})
    noise = (kind.corrupt(batch, "mains", 3, Generator("t")).values - batch.values).numpy()
    for part, rate in ((noise[::2], 250.0), (noise[1::2], 500.0)):
        at, power = powers(part, rate)
        assert power[(at > 48) & (at < 62)].sum() > 0.98 * power.sum()
    for name in kind.corruptions:
        assert kind.corrupt(batch, name, 3, Generator("t")).values.isfinite().all()


def test_mains_are_a_tone_of_50_or_60_hertz():
    noise, _ = added("mains", 250.0)
    at = np.fft.rfftfreq(500, 1 / 250)
    found = at[np.abs(np.fft.rfft(noise)).argmax(-1)]
    assert set(found.flatten()) == {50.0, 60.0} and (found[:, :1] == found).all(), "one in all channels"


def test_muscles_are_bursts_of_20_to_100_hertz():
    noise, _ = added("muscle", 250.0)
    at, power = powers(noise, 250.0)
    assert power[(at > 17) & (at < 103)].sum() > 0.98 * power.sum()
    swell = np.sort((noise.reshape(*noise.shape[:2], 10, -1) ** 2).mean(-1), -1)
    assert (swell[..., -1] > 10 * swell[..., 0]).mean() > 0.9
    at, power = powers(added("muscle", 50.0)[0], 50.0)
    assert power[at > 12].sum() > 0.97 * power.sum(), "the upper half of what 50 values a second hold"


def test_pink_noise_falls_with_frequency():
    at, power = powers(added("pink", 250.0, window=2048)[0], 250.0)
    inside = (at > 1) & (at < 100)
    assert np.polyfit(np.log(at[inside]), np.log(power[inside]), 1)[0] == pytest.approx(-1, abs=0.1)


def test_blinks_are_slow_upward_and_largest_in_front():
    kind = Signal(window=500, rate=250.0, montage="mixed")
    batch = batch_of(kind, 32)
    bumps = kind.corrupt(batch, "blinks", 3, Generator("t")).values - batch.values
    known = batch.extras["channel"] == 0
    assert bumps.min() > -1e-5
    height = bumps.amax(-1) / batch.values.std(-1, correction=0).clamp_min(1e-6)
    front = batch.extras["place"][..., 1]
    assert np.corrcoef(front[known], height[known])[0, 1] > 0.9
    at, power = powers(bumps.numpy(), 250.0)
    assert power[at < 8].sum() > 0.97 * power.sum()
    assert (bumps[batch.extras["channel"] < 0] == 0).all()


def test_a_band_is_stopped():
    kind = Signal(window=512)
    batch = batch_of(kind)
    batch = replace(batch, values=torch.randn(64, 2, 512, generator=torch.Generator().manual_seed(0)) + 3)
    for severity, share in enumerate(LEVELS["stop"][1], 1):
        changed = kind.corrupt(batch, "stop", severity, Generator("t")).values
        gone = torch.fft.rfft(changed).abs() < 1e-3 * torch.fft.rfft(batch.values).abs()
        assert gone.float().mean() == pytest.approx(share, abs=0.02)
        torch.testing.assert_close(changed.mean(-1), batch.values.mean(-1))


def test_lost_channels_of_mixed_samples_are_absent():
    kind = Signal(window=64, montage="mixed")
    batch = batch_of(kind)
    before = (batch.extras["channel"] >= 0).sum(1)
    for severity, share in enumerate(LEVELS["channels"][1], 1):
        changed = kind.corrupt(batch, "channels", severity, Generator("t"))
        there = changed.extras["channel"] >= 0
        wanted = torch.minimum((share * before).round().clamp_min(1), before - 1)
        assert torch.equal(before - there.sum(1), wanted.long())
        assert (changed.values[~there] == 0).all() and (changed.extras["place"][~there] == 0).all()
        assert torch.equal(changed.values[there], batch.values[there]) and (batch.extras["channel"][there] >= 0).all()


def test_strong_views_of_mixed_samples_lose_channels_but_not_all():
    kind = Signal(window=64, montage="mixed")
    batch = batch_of(kind, 256)
    asked = dict(area=(1.0, 1.0), size=1.0, symmetry=False, generator=Generator("t"))
    before = (batch.extras["channel"] >= 0).sum()
    for strength, low, high in ((0.0, 0, 0), (1.0, 0.01, 0.05), (100.0, 0.75, 0.85)):
        view, = kind.view(batch, 1, strength=strength, **asked)
        there = view.extras["channel"] >= 0
        assert there.any(1).all() and low <= float(1 - there.sum() / before) <= high
        assert (view.values[~there] == 0).all()
