"""What comes next: the first values of the window after one, from frozen features of that one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Count
from unveil.data.samples import Samples
from unveil.tasks.bench import Bench, spread
from unveil.tasks.linear import fold_of, standardiser
from unveil.tasks.regression import GRID, ridge
from unveil.tasks.result import Result, jackknife
from unveil.tasks.task import Task

LOOKED = 512  # windows from which a season is measured


class Forecast(Task):
    """Ridge regression from the frozen features of a window on the values of all channels that follow it in its recording.

    What follows is read from the window that begins where the first one ends, so strides must divide the window. Values are in deviations
    of their channel over what is learned from. Beside it stand forecasts that read the values themselves: the last value, and the
    last season again, whose length is where the mean autocorrelation within a window has its highest value after its first minimum.

    Args:
        horizon: values ahead, at most a window.
        samples: windows that are learned from, at most, evenly spaced.
        season: values; None measures it.
    """

    name = "forecast"

    def __init__(self, *, horizon: Count = 8, samples: Count = 4096, season: Count | None = None):
        self.horizon, self.samples, self.season = horizon, samples, season

    def lacks(self, bench: Bench, name: str) -> str:
        train, test = bench.split.train, bench.split.test
        if train.cut is None or test.cut is None or len(train.shape) != 1:
            return "windows that are cut from recordings"
        if train.mixed:
            return "samples with the same channels"
        if self.horizon > train.shape[0]:
            return f"a horizon of {train.shape[0]} values at most"
        enough = all(len(self._pairs(bench, side)[0]) > 1 for side in ("train", "test"))
        return "" if enough else "windows that follow one another without a gap on both sides"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        (at, wanted), (asked, truth) = self._pairs(bench, "train"), self._pairs(bench, "test")
        train, test = bench.sides(name)
        groups = None if train.groups is None else train.groups[at]
        w = fit(train.features[at], wanted.flatten(1), groups)
        answer = (test.features[asked].double() @ w[:-1] + w[-1]).view_as(truth)
        yield from self._results(bench, name, name, answer, "ridge regression on standardised features, penalty chosen by cross-validation"
                                 + ("" if groups is None else ", whole groups apart"))

    def controls(self, bench: Bench, name: str) -> Iterator[Result]:
        """The last value, and the last season again."""
        train, test = bench.split.train, bench.split.test
        asked, truth = self._pairs(bench, "test")
        some = train.batch(torch.as_tensor(spread(len(train), LOOKED))).values
        season = min(self.season or season_of(some), train.shape[0])
        centre, scale = self._scale(bench)
        past = (torch.cat([test.batch(part).values[..., -season:] for part in torch.as_tensor(asked).split(512)]) - centre) / scale
        ahead = torch.arange(self.horizon)
        for called, values in (("last value", past[..., -1:].expand_as(truth)), ("last season", past[..., ahead % season])):
            how = "the last value" if called == "last value" else f"the last {season} values again"
            for result in self._results(bench, called, name, values.double(), how):
                yield replace(result, encoder="none")

    def _scale(self, bench: Bench) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel ``(C, 1)`` over what is learned from."""
        spec = bench.once("what is learned from", bench.split.train.spec)
        return tuple(torch.tensor(x)[:, None] for x in (spec.mean, spec.std))

    def _pairs(self, bench: Bench, side: str) -> tuple[np.ndarray, Tensor]:
        """Positions of the windows ``(n,)`` that another one follows, and the values that come next ``(n, C, horizon)``."""
        def made() -> tuple[np.ndarray, Tensor]:
            samples = getattr(bench.split, side)
            at, after = following(samples)
            if side == "train":
                some = spread(len(at), self.samples)
                at, after = at[some], after[some]
            centre, scale = self._scale(bench)
            kept, values = [], []
            for now, then in zip(torch.as_tensor(at).split(512), torch.as_tensor(after).split(512), strict=True):
                batch = samples.batch(then)
                whole = slice(None) if batch.valid is None else (batch.valid[:, :self.horizon].all(1) & samples.batch(now).valid[:, -1])
                kept.append(now[whole].numpy())
                values.append(((batch.values[..., :self.horizon] - centre) / scale)[whole])
            return (np.concatenate(kept), torch.cat(values)) if kept else (np.empty(0, np.int64), torch.empty(0))

        return bench.once(("what follows", side, self.horizon, self.samples), made)

    def _results(self, bench: Bench, features: str, way: str, answer: Tensor, how: str) -> Iterator[Result]:
        asked, truth = self._pairs(bench, "test")
        truth, answer = truth.double().flatten(1).numpy(), answer.flatten(1).numpy()
        facts = dict(task=self.name, labels=None, n_train=len(self._pairs(bench, "train")[0]), at={"ahead": self.horizon},
                     protocol=f"{how}; the {self.horizon} values of each channel that follow a window, in deviations of the channel")
        each = np.zeros((len(bench.split.test), 1 + 3 * truth.shape[1]))
        each[asked] = np.concatenate([np.ones((len(truth), 1)), truth, truth**2, (truth - answer) ** 2], 1)
        sums = bench.by_part(each)
        sums = sums[sums[:, 0] > 0]
        found = jackknife(sums, explained)
        yield bench.figure(features, way, [found.value], *found.interval(), metric="R2", unit="share of variance", n_test=len(asked),
                           **facts)
        error = np.full(len(bench.split.test), np.nan)
        error[asked] = np.abs(truth - answer).mean(1)
        yield bench.result(features, way, [error], metric="MAE", unit="deviations", direction="lower", **facts)


def following(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Positions of windows and of those that begin where they end, both ``(n,)``."""
    place = {(int(recording), int(start)): at for at, (recording, start) in enumerate(samples.cut)}
    after = np.array([place.get((int(recording), int(start) + samples.shape[0]), -1) for recording, start in samples.cut], dtype=np.int64)
    at = np.flatnonzero(after >= 0)
    return at, after[at]


def season_of(x: Tensor) -> int:
    """The lag at which the autocorrelation of series ``(B, C, T)``, mean over all of them, is highest after its first minimum; 1 where it
    has none, or is not above 0 there."""
    length = x.shape[-1]
    z = x - x.mean(-1, keepdim=True)
    auto = torch.fft.irfft(torch.fft.rfft(z, 2 * length).abs().square(), 2 * length)[..., :length]
    auto = (auto / auto[..., :1].clamp_min(1e-12)).mean((0, 1)).numpy()
    low = np.flatnonzero((auto[1:-1] < auto[:-2]) & (auto[1:-1] <= auto[2:]))
    best = int(low[0] + 1 + auto[low[0] + 1:].argmax()) if len(low) else 1
    return best if auto[best] > 0 else 1


def explained(total: np.ndarray) -> np.ndarray:
    """Share of the variance about the mean of each output that is explained, all outputs together.

    Args:
        total: ``(times, 1 + 3 M)``: number of samples, and of each of M outputs sums of it, of its square, and of squared errors.
    """
    count, (first, square, error) = total[:, :1], np.split(total[:, 1:], 3, 1)
    about = np.maximum(square - first**2 / np.maximum(count, 1), 0).sum(1)
    return 1 - error.sum(1) / np.maximum(about, 1e-12 * square.sum(1) + 1e-300)


def fit(x: Tensor, y: Tensor, groups: np.ndarray | None, folds: int = 5) -> Tensor:
    """As :func:`unveil.tasks.regression.fit` for many numbers at once, with one penalty: ``(n, D)`` and ``(n, M)`` -> ``(D + 1, M)``."""
    mean, std = (each.double() for each in standardiser(x))
    z, y, penalties = (x.double() - mean) / std, y.double(), torch.tensor(GRID, dtype=torch.float64)
    part = torch.as_tensor(fold_of(len(z), groups, min(folds, len(z)), np.zeros(len(z), np.int64)))
    error = torch.zeros(len(GRID), dtype=torch.float64)
    for fold in part.unique():
        w = ridge(z[part != fold], y[part != fold], penalties)
        error += (z[part == fold] @ w[:, :-1] + w[:, -1:] - y[part == fold]).square().sum((1, 2))
    best = len(GRID) - 1 - int(error.flip(0).argmin())
    w = ridge(z, y, penalties[best:best + 1])[0]
    scaled = w[:-1] / std[:, None]
    return torch.cat([scaled, (w[-1] - mean @ scaled)[None]])
