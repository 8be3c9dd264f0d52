"""Numbers to predict: ridge regression on frozen features, all penalties by one eigendecomposition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unveil.randomness import Generator
from unveil.tasks.bench import Bench
from unveil.tasks.linear import fold_of, standardiser
from unveil.tasks.result import Result, interval, jackknife
from unveil.tasks.task import Task

GRID = tuple(10.0 ** (k / 2) for k in range(-6, 13))
TENFOLD = 10  # samples that stand for one label a class of a budget, as if there were ten classes


class Regression(Task):
    """Ridge regression (Hoerl and Kennard 1970) on standardised frozen features; R2 and mean absolute error on the test samples.

    A regression knows no classes: a budget of 5 labels a class is one of 50 samples here, and says so in ``at``. Budgets of more
    samples than there are, are left out. R2 is 0 for the mean of the test samples' targets; the row "median" says what the median of
    the training samples' gets.
    """

    name = "regression"

    def lacks(self, bench: Bench, name: str) -> str:
        sides = bench.split.train, bench.split.test
        return "" if all(differ(side.targets) for side in sides) else "numbers to predict that differ (--targets)"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        (train, test), target = bench.sides(name), bench.split.train.targets
        known = np.flatnonzero(np.isfinite(target))
        for each in bench.budgets:
            if each and each * TENFOLD >= len(known):
                continue
            answers = []
            for number in range(bench.repeats(each)):
                at = np.sort(Generator(bench.seed, "targets", each or 0, number).permutation(len(known)).numpy()[:each and each * TENFOLD])
                at = known[at]
                groups = None if train.groups is None else train.groups[at]
                w = fit(train.features[at], target[at], groups)
                answers.append((test.features.double() @ w[:-1] + w[-1]).numpy())
            penalty = "chosen by cross-validation" + ("" if train.groups is None else ", whole groups apart")
            yield from self._results(bench, name, name, answers, n_train=len(at), at={"samples": len(at)} if each else {},
                                     protocol=f"ridge regression on standardised features, penalty {penalty}")

    def controls(self, bench: Bench, name: str) -> Iterator[Result]:
        """The median of the training samples' targets for every test sample."""
        target = bench.split.train.targets
        answer = np.full(len(bench.split.test), np.nanmedian(target))
        for result in self._results(bench, "median", name, [answer], n_train=int(np.isfinite(target).sum()), at={},
                                    protocol="the median of the training samples' targets"):
            yield replace(result, encoder="none")

    def _results(self, bench: Bench, features: str, way: str, answers: list[np.ndarray], **facts) -> Iterator[Result]:
        """R2 and mean absolute error of the answers of each repeat."""
        target, facts = bench.split.test.targets, dict(task=self.name, labels=None, **facts)
        known = np.isfinite(target)
        sums = [np.where(known, each, 0) for each in (known, target, np.square(target))]
        sums = [bench.by_part(np.stack([*sums, np.where(known, np.square(answer - target), 0)], 1)) for answer in answers]
        values = [float(r2(each.sum(0)[None])[0]) for each in sums]
        low, high = interval(values) if len(values) > 1 else jackknife(sums[0], r2).interval()
        yield bench.figure(features, way, values, low, high, metric="R2", unit="share of variance", n_test=int(known.sum()), **facts)
        yield bench.result(features, way, [np.abs(answer - target) for answer in answers], metric="MAE",
                           unit=bench.split.test.target, direction="lower", **facts)


def differ(target: np.ndarray | None) -> bool:
    """Whether there are targets that differ."""
    return target is not None and len(np.unique(target[np.isfinite(target)])) > 1


def r2(total: np.ndarray) -> np.ndarray:
    """Coefficient of determination: 1 - sum of squared errors / that about the mean of the targets.

    Args:
        total: ``(times, 4)``: number of samples, sums of target, squared target and squared error.
    """
    count, target, square, error = total.T
    return 1 - error / np.maximum(square - target**2 / np.maximum(count, 1), 1e-12 * square + 1e-300)


def ridge(x: Tensor, y: Tensor, penalties: Tensor) -> Tensor:
    """Minimises ``sum_i (y_i - x_i w - b)^2 + penalty |w|^2`` for every penalty by one eigendecomposition.

    Args:
        x: ``(n, D)``.
        y: ``(n,)``.
        penalties: ``(R,)``, above 0.

    Returns:
        ``(R, D + 1)``, the last entry b.
    """
    mean, centre = x.mean(0), y.mean()
    spectrum, basis = torch.linalg.eigh((x - mean).T @ (x - mean))
    turned = basis.T @ ((x - mean).T @ (y - centre))
    w = (turned / (spectrum.clamp_min(0) + penalties[:, None])) @ basis.T
    return torch.cat([w, (centre - w @ mean)[:, None]], 1)


def fit(x: Tensor, y: np.ndarray, groups: np.ndarray | None, folds: int = 5) -> Tensor:
    """A regression ``(D + 1)`` on raw features, in double precision: standardised by ``x``, the penalty of :data:`GRID` with the least
    squared error over folds, whole groups where there are two or more, of equals the largest."""
    mean, std = (each.double() for each in standardiser(x))
    z, y, penalties = (x.double() - mean) / std, torch.as_tensor(y), torch.tensor(GRID, dtype=torch.float64)
    part = torch.as_tensor(fold_of(len(z), groups, min(folds, len(z)), np.zeros(len(z), np.int64)))
    error = torch.zeros(len(GRID), dtype=torch.float64)
    for fold in part.unique():
        w = ridge(z[part != fold], y[part != fold], penalties)
        error += (z[part == fold] @ w[:, :-1].T + w[:, -1] - y[part == fold, None]).square().sum(0)
    best = len(GRID) - 1 - int(error.flip(0).argmin())
    w = ridge(z, y, penalties[best:best + 1])[0]
    scaled = w[:-1] / std
    return torch.cat([scaled, (w[-1] - mean @ scaled)[None]])
