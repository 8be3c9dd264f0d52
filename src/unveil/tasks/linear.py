"""The linear probe: multinomial logistic regression, many of them at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from unveil.tasks.bench import Bench, right
from unveil.tasks.result import Result
from unveil.tasks.task import Task

GRID = tuple(10.0 ** (k / 2) for k in range(-6, 5))
FEW = 0.1  # C on few labels, too few to choose it by


class Linear(Task):
    """Multinomial logistic regression on frozen features, at each label budget."""

    name = "linear"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        train, test = bench.sides(name)
        for each in bench.budgets:
            scores, at = [], None
            for number in range(bench.repeats(each)):
                at = bench.labelled(each, number)
                groups = None if train.groups is None else train.groups[at]
                w = fit(train.features[at], train.labels[at], groups, bench.classes, FEW if each else None)
                scores.append(right(predict(w[None], test.features)[0], test.labels))
            chosen = "chosen by cross-validation, whole groups apart" if train.groups is not None else "chosen by cross-validation"
            yield bench.result(name, name, scores, task=self.name, labels=each, n_train=len(at),
                               protocol=f"multinomial logistic regression on standardised features, C {FEW if each else chosen}")


def standardiser(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each column of ``x``; a constant column is left alone."""
    std = x.std(0, correction=0)
    return x.mean(0), torch.where(std > 1e-6 * (1 + x.mean(0).abs()), std, torch.ones_like(std))


def logistic(x: Tensor, y: Tensor, classes: int, costs: Tensor, weight: Tensor | None = None, steps: int = 300) -> Tensor:
    """Minimises ``C * sum_i weight_i * cross entropy + |W|^2 / 2`` for every C at once; the bias is not penalised.

    Accelerated proximal steps under the fixed curvature bound of Boehning (1992), in the basis where it is diagonal: one
    eigendecomposition serves all C.

    Args:
        x: ``(n, D)``, standardised; the precision of the work is its own.
        y: int64 ``(n,)``.
        classes: number of classes.
        costs: ``(R,)`` values of C, as scikit-learn counts them.
        weight: ``(n,)``, 0 leaves a sample out; None for all ones.
        steps: at most this many.

    Returns:
        ``(R, D + 1, classes)``, the last row the bias.
    """
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    weight = torch.ones(len(x), dtype=x.dtype, device=x.device) if weight is None else weight.to(x.dtype)
    target = torch.nn.functional.one_hot(y, classes).to(x.dtype)
    spectrum, basis = torch.linalg.eigh(x.T @ (x * weight[:, None]))
    return _descend(x, target, weight, spectrum, basis, costs.to(x), steps)


def _descend(x, target, weight, spectrum, basis, costs, steps) -> Tensor:
    penalty = torch.ones_like(spectrum)
    penalty[-1] = 1e-6
    curve = 0.5 * costs[:, None, None] * spectrum.clamp_min(0)[:, None] + 1.0
    w = x.new_zeros(len(costs), x.shape[1], target.shape[1])
    ahead, pace = w, 1.0
    for _ in range(steps):
        p = (x @ ahead).softmax(-1)
        slope = costs[:, None, None] * (x.T @ ((p - target) * weight[:, None])) + penalty[:, None] * ahead
        step = basis @ ((basis.T @ slope) / curve)
        new = ahead - step
        back = ((ahead - new) * (new - w)).sum((1, 2), keepdim=True) > 0
        faster = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        ahead = torch.where(back, new, new + (pace - 1) / faster * (new - w))
        change = (new - w).abs().max()
        w, pace = new, faster
        if change < 1e-4:
            break
    return w


def predict(w: Tensor, x: Tensor) -> Tensor:
    """Class of each row for each regression: ``(R, n)``."""
    return (x.to(w.dtype) @ w[:, :-1] + w[:, -1:]).argmax(-1)


def fit(x: Tensor, y: np.ndarray, groups: np.ndarray | None, classes: int, cost: float | None, folds: int = 5) -> Tensor:
    """A probe ``(D + 1, classes)`` on raw features: standardised by ``x``, C from ``cost`` or by cross-validation.

    Folds hold whole groups where there are at least two, so no subject is on both sides.
    """
    mean, std = standardiser(x)
    z, y = (x - mean) / std, torch.as_tensor(y)
    chosen = choose_cost(z, y, groups, classes, folds) if cost is None else cost
    w = logistic(z.double(), y, classes, torch.tensor([chosen]))[0]
    scaled = w[:-1] / std[:, None].double()
    return torch.cat([scaled, w[-1:] - (mean.double() @ scaled)[None]])


def choose_cost(z: Tensor, y: Tensor, groups: np.ndarray | None, classes: int, folds: int) -> float:
    """C of :data:`GRID` with the best cross-validated accuracy, of equals the smallest. Beyond 5,000 samples one fold decides."""
    part = fold_of(len(z), groups, folds, y.numpy())
    right = torch.zeros(len(GRID))
    for fold in range(1 if len(z) > 5000 else part.max() + 1):
        held = torch.as_tensor(part == fold)
        w = logistic(z, y, classes, torch.tensor(GRID), weight=(~held).float(), steps=100)
        right += (predict(w, z[held]) == y[held]).float().sum(1)
    return GRID[int(right.argmax())]


def fold_of(count: int, groups: np.ndarray | None, folds: int, labels: np.ndarray) -> np.ndarray:
    """Fold of each sample: whole groups where there are two or more, else in turn within each class."""
    if groups is not None and len(np.unique(groups)) > 1:
        names, place = np.unique(groups, return_inverse=True)
        return place % min(folds, len(names))
    part = np.empty(count, np.int64)
    for label in np.unique(labels):
        at = np.flatnonzero(labels == label)
        part[at] = np.arange(len(at)) % folds
    return part
