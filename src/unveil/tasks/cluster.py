"""Clusters that are found without labels, against the labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Count
from unveil.randomness import Generator
from unveil.tasks.bench import Bench, some
from unveil.tasks.linear import standardiser
from unveil.tasks.result import Result, jackknife
from unveil.tasks.task import Task


class Cluster(Task):
    """k-means on the test features, as many clusters as classes; labels are used only to score.

    Args:
        restarts: begun so often; the tightest clusters count.
        samples: test samples, at most.
    """

    name = "cluster"

    def __init__(self, *, restarts: Count = 10, samples: Count = 10000):
        self.restarts, self.samples = restarts, samples

    def lacks(self, bench: Bench, name: str) -> str:
        return super().lacks(bench, name) or ("" if len(set(bench.split.test.labels) - {-1}) > 1 else "two classes to score on")

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        test = bench.sides(name)[1]
        at = some(len(test), self.samples)
        x, labels = test.features[at], test.labels[at]
        mean, std = standardiser(x)
        known = labels >= 0
        count = len(np.unique(labels[known]))
        found = kmeans(F.normalize((x - mean) / std, dim=-1).to(bench.device), count, self.restarts, bench.seed).cpu()
        tables = np.zeros((bench.part.max() + 1, count, bench.classes))
        np.add.at(tables, (bench.part[at][known], found.numpy()[known], labels[known]), 1)
        tables = tables[tables.any((1, 2))]
        for metric, (unit, score) in METRICS.items():
            estimate = jackknife(tables, score)
            yield bench.figure(name, name, [estimate.value], *estimate.interval(), task=self.name, labels=None, n_train=0,
                               n_test=int(known.sum()), metric=metric, unit=unit,
                               protocol=f"k-means, {count} clusters, best of {self.restarts}, on test features, standardised, unit length")


def kmeans(x: Tensor, count: int, restarts: int = 10, seed: int = 0, steps: int = 100) -> Tensor:
    """Cluster of each row: Lloyd's k-means, begun by k-means++ (Arthur and Vassilvitskii 2007), all restarts at once.

    Args:
        x: ``(n, D)``.
        count: clusters.
        restarts: the one with the smallest sum of squared distances is taken.
        seed: of the beginnings.
        steps: at most this many.

    Returns:
        int64 ``(n,)``.
    """
    generator = Generator(seed, "kmeans", device=x.device)
    centres = x[generator.integers(0, len(x), restarts)][:, None]
    while centres.shape[1] < count:
        weight = _distances(x, centres).amin(-1).cumsum(1)
        drawn = (generator.uniform(restarts, 1) * weight[:, -1:]).to(x)
        centres = torch.cat([centres, x[torch.searchsorted(weight, drawn).clamp_max(len(x) - 1)]], 1)
    near = None
    for _ in range(steps):
        before, (distance, near) = near, _distances(x, centres).min(-1)
        if before is not None and (near == before).all():
            break
        of = F.one_hot(near, count).to(x.dtype)
        size = of.sum(1)[..., None]
        centres = torch.where(size > 0, of.transpose(1, 2) @ x / size.clamp_min(1), centres)
    return near[distance.sum(1).argmin()]


def _distances(x: Tensor, centres: Tensor) -> Tensor:
    """Squared, ``(restarts, n, clusters)``."""
    products = (x @ centres.flatten(0, 1).T).view(len(x), *centres.shape[:2]).transpose(0, 1)
    return (x.square().sum(1)[:, None] - 2 * products + centres.square().sum(-1)[:, None]).clamp_min(0)


def nmi(tables: np.ndarray) -> np.ndarray:
    """Normalised mutual information, by the mean of both entropies (Vinh et al. 2010), of tables ``(..., clusters, classes)`` of counts."""
    p = tables / tables.sum((-2, -1), keepdims=True)
    entropy = lambda q: -np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0).reshape(*tables.shape[:-2], -1).sum(-1)
    rows, columns = entropy(p.sum(-1)), entropy(p.sum(-2))
    both = (rows + columns) / 2
    return np.where(both > 0, (rows + columns - entropy(p)) / np.where(both > 0, both, 1), 1.0)


def ari(tables: np.ndarray) -> np.ndarray:
    """Adjusted Rand index (Hubert and Arabie 1985) of tables ``(..., clusters, classes)`` of counts."""
    pairs = lambda n: n * (n - 1) / 2
    total = pairs(tables.sum((-2, -1)))
    together, rows, columns = pairs(tables).sum((-2, -1)), pairs(tables.sum(-1)).sum(-1), pairs(tables.sum(-2)).sum(-1)
    chance, most = rows * columns / total, (rows + columns) / 2
    return np.where(most > chance, (together - chance) / np.where(most > chance, most - chance, 1), 1.0)


def matched(tables: np.ndarray) -> np.ndarray:
    """Accuracy, each cluster named after one class in the best way (Kuhn 1955), of tables ``(times, clusters, classes)`` of counts."""
    from scipy.optimize import linear_sum_assignment
    return np.array([table[linear_sum_assignment(table, maximize=True)].sum() / table.sum() for table in tables])


METRICS = {"NMI": ("1", nmi), "ARI": ("1", ari), "ACC": ("share", matched)}
