"""Numbers to predict: ridge regression on frozen features, all penalties by one eigendecomposition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from unveil.tasks.bench import Bench
from unveil.tasks.linear import fold_of, standardiser
from unveil.tasks.numbers import budgets, by_row, coordinates, errors, learned, measured, predictable
from unveil.tasks.result import Result
from unveil.tasks.task import Task

GRID = tuple(10.0 ** (k / 2) for k in range(-6, 13))


class Regression(Task):
    """Ridge regression (Hoerl and Kennard 1970) on standardised frozen features; R2 and mean absolute error on the test samples.

    A regression knows no classes: a budget of 5 labels a class is one of 50 samples here, and says so in ``at``. Budgets of more
    samples than there are, are left out. R2 is 0 for the mean of the test samples' targets; the row "median" says what the median of
    the training samples' gets. An energy, which grows with a sample, is learned as what each row adds to it where features are means over
    rows; see :func:`unveil.tasks.numbers.by_row`.
    """

    name = "regression"

    def lacks(self, bench: Bench, name: str) -> str:
        return "" if predictable(bench) else "numbers to predict that differ (--targets)"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        (train, test), whole = bench.sides(name), bench.split.train
        target = learned(whole, each_row := by_row(whole, bench.ways[name].network))
        for each in budgets(bench):
            answers = []
            for number in range(bench.repeats(each)):
                at = measured(bench, each, number)
                w = fit(train.features[at], target[at], None if train.groups is None else train.groups[at])
                answers.append((test.features.double() @ w[:-1] + w[-1]).numpy())
            penalty = "chosen by cross-validation" + ("" if train.groups is None else ", whole groups apart")
            yield from errors(bench, name, name, answers, task=self.name, n_train=len(at), at=coordinates(each), by_row=each_row,
                              protocol=f"ridge regression on standardised features, penalty {penalty}")

    def controls(self, bench: Bench, name: str) -> Iterator[Result]:
        """The median of the training samples' targets for every test sample."""
        target = learned(bench.split.train, bench.split.train.extensive)
        answer = np.full(len(bench.split.test), np.nanmedian(target))
        for result in errors(bench, "median", name, [answer], task=self.name, n_train=int(np.isfinite(target).sum()), at={},
                             by_row=bench.split.train.extensive, protocol="the median of the training samples' targets"):
            yield replace(result, encoder="none")


def ridge(x: Tensor, y: Tensor, penalties: Tensor) -> Tensor:
    """Minimises ``sum_i (y_i - x_i w - b)^2 + penalty |w|^2`` for every penalty by one eigendecomposition.

    Args:
        x: ``(n, D)``.
        y: ``(n,)``, or several numbers ``(n, M)``.
        penalties: ``(R,)``, above 0.

    Returns:
        ``(R, D + 1)``, the last entry b; of several numbers ``(R, D + 1, M)``.
    """
    several = y.dim() > 1
    y = y if several else y[:, None]
    mean, centre = x.mean(0), y.mean(0)
    spectrum, basis = torch.linalg.eigh((x - mean).T @ (x - mean))
    turned = basis.T @ ((x - mean).T @ (y - centre))
    w = basis @ (turned / (spectrum.clamp_min(0) + penalties[:, None])[..., None])
    found = torch.cat([w, (centre - mean @ w)[:, None]], 1)
    return found if several else found[..., 0]


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
