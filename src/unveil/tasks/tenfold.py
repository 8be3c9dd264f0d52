"""Cross-validation over all labelled samples: how the field scores small sets of graphs, said by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Literal

import numpy as np
import torch

from unveil.contracts import Count
from unveil.data.split import stratified
from unveil.randomness import Generator
from unveil.tasks import linear
from unveil.tasks.bench import BLOCKS, Bench
from unveil.tasks.forest import MISSING
from unveil.tasks.result import Result, jackknife
from unveil.tasks.task import Task

COSTS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


class TenFold(Task):
    """Mean accuracy over stratified folds of all labelled samples, those of both sides of the split.

    The protocol of InfoGraph (arXiv 1908.01000), GraphCL (2010.13902) and GraphMAE (2205.10803): an SVM on frozen features, its C by an
    inner search within what a fold learns from. It is no held-out figure: the encoder may have been taught on any of these samples,
    without their labels, and groups are not kept apart. The interval is that over samples, the mean over shuffles; it does not
    know that folds share what they learn from.

    Args:
        folds: how many.
        shuffles: repeats with other folds.
        probe: ``"svm"``, with a Gaussian kernel, or ``"logistic"``, which needs no scikit-learn.
    """

    name = "tenfold"

    def __init__(self, *, folds: Count = 10, shuffles: Count = 5, probe: Literal["svm", "logistic"] = "svm"):
        self.folds, self.shuffles, self.probe = folds, shuffles, probe

    def lacks(self, bench: Bench, name: str) -> str:
        if reason := super().lacks(bench, name):
            return reason
        labels = _labels(bench)
        counts = np.bincount(labels[labels >= 0])
        if (counts > 0).sum() < 2 or counts[counts > 0].min() < 2 or counts.max() < self.folds:
            return f"two classes of two samples at least, one of them of {self.folds}"
        return MISSING if self.probe == "svm" and find_spec("sklearn") is None else ""

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        labels = _labels(bench)
        known = np.flatnonzero(labels >= 0)
        x, y = torch.cat([side.features for side in bench.sides(name)])[torch.as_tensor(known)], labels[known]
        hits, tick = np.zeros((self.shuffles, len(y))), bench.counter(f"{name}: folds", self.shuffles * self.folds)
        for shuffle in range(self.shuffles):
            part = stratified(y, self.folds, bench.seed + shuffle)
            for fold in range(self.folds):
                held = part == fold
                hits[shuffle, held] = self._answers(x, y, held, bench) == y[held]
                tick(1)
        place = Generator(0, "blocks").permutation(len(y)).numpy() % min(BLOCKS, len(y))
        mean = hits.mean(0)
        alone = jackknife(np.stack([np.ones(len(y)), mean], 1), lambda total: total[:, 1] / total[:, 0])
        low, high = np.clip(alone.interval(), 0.0, 1.0).tolist()
        folds = f"{self.folds} stratified folds of all labelled samples, groups not kept apart"
        result = bench.figure(name, name, hits.mean(1).tolist(), low, high, task=self.name, labels=None, n_test=len(y),
                              n_train=len(y) - len(y) // self.folds, protocol=self._protocol(),
                              parts=[float(mean[place == p].mean()) for p in range(place.max() + 1)])
        yield replace(result, split_name=folds)

    def _protocol(self) -> str:
        how = ("SVM with a Gaussian kernel on standardised features, C by an inner search over 5 folds" if self.probe == "svm"
               else "multinomial logistic regression on standardised features, C by an inner search over 5 folds")
        return (f"{how}; stratified {self.folds}-fold cross-validation over the labelled samples of both sides of the split, mean over "
                f"{self.shuffles} shuffles. Not held out from teaching: the encoder may have seen any of them without its label")

    def _answers(self, x: torch.Tensor, y: np.ndarray, held: np.ndarray, bench: Bench) -> np.ndarray:
        """Classes of the samples that are held out, learned from the others."""
        learn = torch.as_tensor(~held)
        if self.probe == "logistic":
            w = linear.fit(x[learn], y[~held], None, bench.classes, None)
            return linear.predict(w[None], x[~learn])[0].numpy()
        from sklearn.model_selection import GridSearchCV, StratifiedKFold
        from sklearn.svm import SVC
        mean, std = linear.standardiser(x[learn])
        z = ((x - mean) / std).double().numpy()
        inner = min(5, int(np.unique(y[~held], return_counts=True)[1].min()))
        if inner < 2:
            return SVC().fit(z[~held], y[~held]).predict(z[held])
        search = GridSearchCV(SVC(), {"C": COSTS}, cv=StratifiedKFold(inner))
        return search.fit(z[~held], y[~held]).predict(z[held])


def _labels(bench: Bench) -> np.ndarray:
    """Of both sides, those that are learned from first."""
    return np.concatenate([bench.split.train.labels, bench.split.test.labels])
