"""The linear probe: multinomial logistic regression, many of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from unveil.tasks.agreement import agreement
from unveil.tasks.bench import Bench
from unveil.tasks.logistic import logistic
from unveil.tasks.ranking import areas
from unveil.tasks.result import Result
from unveil.tasks.task import Task

GRID = tuple(10.0 ** (k / 2) for k in range(-6, 5))
FEW, MANY = 0.1, 100  # C of a probe on up to so many labels a class, too few to choose it by


class Linear(Task):
    """Multinomial logistic regression on frozen features, at each label budget: accuracy, balanced accuracy, kappa, and the area under
    the ROC curve."""

    name = "linear"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        yield from self.at(bench, name, bench.budgets)
        for each in bench.budgets:
            answers = [logits(probe(bench, name, each, number)[None], bench.sides(name)[1].features)[0]
                       for number in range(bench.repeats(each))]
            yield from areas(bench, name, name, answers, protocol(bench, each), task=self.name, labels=each,
                             n_train=len(bench.labelled(each, 0)))

    def at(self, bench: Bench, name: str, budgets: Sequence[int | None], note: str = "") -> Iterator[Result]:
        """The results at budgets of labels a class; ``note`` goes into the protocol."""
        for each in budgets:
            answers = [predict(probe(bench, name, each, number)[None], bench.sides(name)[1].features)[0]
                       for number in range(bench.repeats(each))]
            yield from agreement(bench, name, name, answers, task=self.name, labels=each, n_train=len(bench.labelled(each, 0)),
                                 protocol=protocol(bench, each) + note)


def probe(bench: Bench, name: str, each: int | None = None, number: int = 0) -> Tensor:
    """The probe of a way from ``each`` labels a class in draw ``number``, ``(D + 1, classes)``; all tasks share it."""
    def made() -> Tensor:
        train, at = bench.sides(name)[0], bench.labelled(each, number)
        groups = None if train.groups is None else train.groups[at]
        return fit(train.features[at].to(bench.device), train.labels[at], groups, bench.classes, FEW if _few(each) else None)

    return bench.once(("probe", name, each, number), made)


def protocol(bench: Bench, each: int | None) -> str:
    """How :func:`probe` learns, in words."""
    apart = "" if bench.split.train.groups is None else ", whole groups apart"
    return f"multinomial logistic regression on standardised features, C {FEW if _few(each) else f'chosen by cross-validation{apart}'}"


def _few(each: int | None) -> bool:
    return each is not None and each <= MANY


def standardiser(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each column of ``x``; a constant column is left alone."""
    std = x.std(0, correction=0)
    return x.mean(0), torch.where(std > 1e-6 * (1 + x.mean(0).abs()), std, torch.ones_like(std))


def logits(w: Tensor, x: Tensor) -> Tensor:
    """Of each row for each regression: ``(R, n, classes)``."""
    return x.to(w) @ w[:, :-1] + w[:, -1:]


def predict(w: Tensor, x: Tensor) -> Tensor:
    """Class of each row for each regression: ``(R, n)``."""
    return logits(w, x).argmax(-1)


def fit(x: Tensor, y: np.ndarray, groups: np.ndarray | None, classes: int, cost: float | None, folds: int = 5) -> Tensor:
    """A probe ``(D + 1, classes)`` on raw features: standardised by ``x``, C from ``cost`` or by cross-validation.

    Folds hold whole groups where there are at least two, so no subject is on both sides.
    """
    mean, std = standardiser(x)
    z, y = (x - mean) / std, torch.as_tensor(y, device=x.device)
    chosen = choose_cost(z, y, groups, classes, folds) if cost is None else cost
    w = logistic(z.double(), y, classes, torch.tensor([chosen]))[0]
    scaled = w[:-1] / std[:, None].double()
    return torch.cat([scaled, w[-1:] - (mean.double() @ scaled)[None]])


def choose_cost(z: Tensor, y: Tensor, groups: np.ndarray | None, classes: int, folds: int) -> float:
    """C of :data:`GRID` with the best cross-validated accuracy, of equals the smallest. Beyond 5,000 samples one fold decides."""
    part = fold_of(len(z), groups, folds, y.cpu().numpy())
    hits = torch.zeros(len(GRID), device=z.device)
    for fold in range(1 if len(z) > 5000 else part.max() + 1):
        held = torch.as_tensor(part == fold, device=z.device)
        w = logistic(z, y, classes, torch.tensor(GRID), weight=(~held).float(), steps=100, tolerance=1e-4)
        hits += (predict(w, z[held]) == y[held]).float().sum(1)
    return GRID[int(hits.argmax())]


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
