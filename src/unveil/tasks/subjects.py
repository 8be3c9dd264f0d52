"""Each group left out once: what a probe that learned from all others says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from unveil.contracts import Count
from unveil.data.split import by_group
from unveil.tasks.agreement import METRICS
from unveil.tasks.bench import Bench
from unveil.tasks.linear import fit, predict
from unveil.tasks.result import Result, jackknife, pseudovalues
from unveil.tasks.task import Task


class Subjects(Task):
    """The linear probe over all labelled samples, those of both sides of the split, each group left out once.

    A group is a subject, a device or a site, whatever ``--groups`` names. It is no held-out figure: the encoder may have been taught on
    samples of any group, without their labels. Intervals are of the jackknife over groups.

    Args:
        most: folds; of more groups than that, several are left out together.
    """

    name = "subjects"

    def __init__(self, *, most: Count = 20):
        self.most = most

    def lacks(self, bench: Bench, name: str) -> str:
        if reason := super().lacks(bench, name):
            return reason
        labels, groups = _known(bench)
        if groups is None or len(np.unique(groups[labels >= 0])) < 3:
            return "three groups at least"
        return "" if len(np.unique(labels[labels >= 0])) > 1 else "two classes"

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        labels, groups = _known(bench)
        at = np.flatnonzero(labels >= 0)
        x, y, groups = torch.cat([side.features for side in bench.sides(name)])[torch.as_tensor(at)], labels[at], groups[at]
        _, place = np.unique(groups, return_inverse=True)
        folds = min(self.most, place.max() + 1)
        part, told = by_group(groups, folds, bench.seed), np.empty(len(y), np.int64)
        tick = bench.counter(f"{name}: groups left out", folds)
        for fold in range(folds):
            held = torch.as_tensor(part == fold)
            w = fit(x[~held].to(bench.device), y[part != fold], groups[part != fold], bench.classes, None)
            told[part == fold] = predict(w[None], x[held])[0].cpu().numpy()
            tick(1)
        tables = np.zeros((place.max() + 1, bench.classes, bench.classes))
        np.add.at(tables, (place, y, told), 1)
        left = "each group left out once" if folds == len(tables) else f"{folds} folds of whole groups"
        right = lambda counts: np.diagonal(counts, axis1=1, axis2=2).sum(1) / counts.sum((1, 2))
        for metric, (unit, least, score) in ({"accuracy": ("share", 0.0, right)} | METRICS).items():
            found = jackknife(tables, score)
            low, high = np.clip(found.interval(), least, 1.0).tolist()
            low, high = (low, high) if low < high else (None, None)
            result = bench.figure(name, name, [found.value], low, high, metric=metric, unit=unit, task=self.name, labels=None,
                                  n_train=len(y) - len(y) // folds, n_test=len(y), parts=pseudovalues(tables, score).tolist(),
                                  protocol="multinomial logistic regression on standardised features, C chosen by cross-validation over "
                                           f"whole groups; {left}, of {len(tables)} on both sides of the split. Not held out from "
                                           "teaching: the encoder may have seen any of them without its label")
            yield replace(result, split_name=left)


def _known(bench: Bench) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels and groups of both sides, those that are learned from first."""
    sides = bench.split.train, bench.split.test
    groups = None if any(side.groups is None for side in sides) else np.concatenate([side.groups for side in sides])
    return np.concatenate([side.labels for side in sides]), groups
