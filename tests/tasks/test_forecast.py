"""Forecasts: the ridge of scikit-learn, seasons that are known, and a probe that beats or loses to plain forecasts as it must."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from unveil.data.records import Records
from unveil.data.split import split
from unveil.kinds.signal import Signal
from unveil.tasks.bench import Bench, Way
from unveil.tasks.forecast import Forecast, explained, following, season_of
from unveil.tasks.regression import ridge
from unveil.tasks.task import judge


def recordings(count: int = 6, length: int = 600, period: int = 20, noise: float = 0.1) -> Records:
    draw = np.random.default_rng(0)
    at = np.arange(length)
    made = [np.stack([np.sin(2 * np.pi * (at / period + draw.uniform())), 5 + 3 * np.cos(2 * np.pi * (at / period + draw.uniform()))])
            + noise * draw.normal(size=(2, length)) for _ in range(count)]
    return Records([f"r{i}" for i in range(count)], made.__getitem__, layout="ct", rate=10.0, labels=np.array(["a", "b"] * (count // 2)))


def judged(records: Records, describe, task: Forecast | None = None, **kind) -> dict[tuple[str, str], dict]:
    samples = Signal(**{"window": 64, **kind}).open(records)
    rows, left = judge(Bench(split(samples), {"features": Way(describe)}), [task or Forecast()])
    return {(row["features"], row["metric"]): row for row in rows} | left


def test_many_numbers_at_once_are_one_by_one_and_scikit_learns():
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 6, generator=draw).double(), torch.randn(50, 4, generator=draw).double()
    penalties = torch.tensor([0.1, 10.0]).double()
    many = ridge(x, y, penalties)
    assert many.shape == (2, 7, 4)
    for m in range(4):
        torch.testing.assert_close(many[..., m], ridge(x, y[:, m], penalties))
    for number, penalty in enumerate(penalties):
        theirs = Ridge(alpha=float(penalty)).fit(x, y)
        np.testing.assert_allclose(many[number, :-1].T, theirs.coef_, atol=1e-8)
        np.testing.assert_allclose(many[number, -1], theirs.intercept_, atol=1e-8)


def test_the_share_that_is_explained_is_scikit_learns():
    draw = np.random.default_rng(0)
    y = draw.normal(size=(40, 5)) * np.array([1, 2, 3, 4, 5]) + 10
    told = y + draw.normal(size=(40, 5))
    total = np.concatenate([[40], y.sum(0), (y**2).sum(0), ((y - told) ** 2).sum(0)])[None]
    assert explained(total)[0] == pytest.approx(r2_score(y, told, multioutput="variance_weighted"))


@pytest.mark.parametrize("period", [7, 16, 25])
def test_a_season_is_found(period):
    at = torch.arange(128)
    wave = torch.stack([(2 * np.pi * (at / period + shift)).sin() for shift in (0.0, 0.3)])[None]
    assert season_of(wave + 0.1 * torch.randn(4, 2, 128, generator=torch.Generator().manual_seed(0))) == period
    assert season_of(torch.arange(64.0).expand(2, 1, -1)) == 1, "a straight line has none"


def test_windows_follow_one_another_within_a_recording_alone():
    samples = Signal(window=64).open(recordings(length=300))
    at, after = following(samples)
    assert (samples.cut[at, 0] == samples.cut[after, 0]).all() and (samples.cut[at, 1] + 64 == samples.cut[after, 1]).all()
    assert len(at) == 6 * len([s for s in range(0, 300 - 64 + 1, 16) if s + 128 <= 300])
    now, then = samples.batch(torch.as_tensor(at)).values, samples.batch(torch.as_tensor(after)).values
    whole = torch.as_tensor(recordings(length=300).load(0).astype(np.float32))
    torch.testing.assert_close(torch.cat([now[0], then[0]], -1), whole[:, :128])


def test_values_themselves_forecast_a_wave_and_nothing_does_not():
    good = judged(recordings(), lambda batch: batch.values.flatten(1))
    assert good["features", "R2"]["value"] > 0.95 and good["features", "MAE"]["value"] < 0.2
    assert good["last season", "R2"]["value"] > 0.9 > good["last value", "R2"]["value"]
    assert "last 20 values" in good["last season", "R2"]["protocol"]
    poor = judged(recordings(), lambda batch: torch.zeros(len(batch), 1))
    assert poor["features", "R2"]["value"] < 0.05 and poor["features", "MAE"]["value"] > 0.5
    assert poor["last value", "R2"]["value"] == good["last value", "R2"]["value"]


def test_plain_forecasts_are_those_of_numpy():
    task = Forecast(horizon=5, season=3)
    rows = judged(recordings(), lambda batch: batch.values.flatten(1), task)
    parts = split(Signal(window=64).open(recordings()))
    spec, (at, after) = parts.train.spec(), following(parts.test)
    scaled = lambda x: (x.numpy() - np.array(spec.mean)[:, None]) / np.array(spec.std)[:, None]
    past, truth = (scaled(parts.test.batch(torch.as_tensor(each)).values) for each in (at, after))
    for name, told in (("last value", past[..., [-1] * 5]), ("last season", past[..., [-3, -2, -1, -3, -2]])):
        assert rows[name, "MAE"]["value"] == pytest.approx(np.abs(told - truth[..., :5]).mean(), rel=1e-4)
        wanted = r2_score(truth[..., :5].reshape(len(at), -1), told.reshape(len(at), -1), multioutput="variance_weighted")
        assert rows[name, "R2"]["value"] == pytest.approx(wanted, rel=1e-3)
        assert rows[name, "R2"]["at"] == {"ahead": 5} and rows[name, "R2"]["n_test"] == len(at)


def test_what_it_needs_is_told():
    values = lambda batch: batch.values.flatten(1)
    assert "follow one another" in judged(recordings(length=120), values)["forecast"]
    assert "follow one another" in judged(recordings(), values, stride=37, window=64)["forecast"]
    assert "horizon of 64" in judged(recordings(), values, Forecast(horizon=65))["forecast"]
