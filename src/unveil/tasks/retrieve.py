"""Finding samples of the same class, or of nearly the same number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Count
from unveil.tasks.bench import Bench, some
from unveil.tasks.numbers import measured, predictable, unit_of
from unveil.tasks.result import Result
from unveil.tasks.task import Task

NEAR = (1, 5)  # neighbours whose targets are compared


class Retrieve(Task):
    """Training samples in the order of their likeness to a test sample: whether they are of its class, and how far their targets are from
    its own, beside those of samples at random.

    Args:
        queries: test samples, at most.
    """

    name = "retrieve"

    def __init__(self, *, queries: Count = 2000):
        self.queries = queries

    def lacks(self, bench: Bench, name: str) -> str:
        if predictable(bench):
            return ""
        return super().lacks(bench, name) or ("" if _shared(bench) else "a class on both sides of the split")

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        if bench.split.train.labels is not None and _shared(bench):
            yield from self._classes(bench, name)
        if predictable(bench):
            yield from self._numbers(bench, name)

    def controls(self, bench: Bench, name: str) -> Iterator[Result]:
        """How far targets of training samples at random are from that of a test sample."""
        if predictable(bench):
            asked, at = self._asked(bench)
            known, target = np.sort(bench.split.train.targets[at]), bench.split.test.targets
            score = np.full(len(target), np.nan)
            score[asked] = [np.abs(known - one).mean() for one in target[asked]]
            for k in NEAR:
                yield replace(self._told(bench, "random", name, score, k, len(at), "any training samples"), encoder="none")

    def _classes(self, bench: Bench, name: str) -> Iterator[Result]:
        (train, test), at = bench.sides(name), bench.labelled(None, 0)
        asked = some(len(test), self.queries)
        asked = asked[np.isin(test.labels[asked], train.labels[at])]
        queries, bank = _alike(bench, name, asked, at)
        precision, first = ranked(queries, test.labels[asked], bank, train.labels[at])
        found = {"mAP": precision, **{f"recall@{k}": (first <= k).astype(float) for k in (1, 5, 10)}}
        for metric, values in found.items():
            score = np.full(len(test), np.nan)
            score[asked] = values
            yield bench.result(name, name, [score], task=self.name, labels=None, n_train=len(at), metric=metric,
                               protocol=f"{len(asked)} test samples ask for training samples of their class, by cosine after centring; "
                                        "recall@k: one is among the k nearest")

    def _numbers(self, bench: Bench, name: str) -> Iterator[Result]:
        asked, at = self._asked(bench)
        queries, bank = _alike(bench, name, asked, at)
        known, target = torch.as_tensor(bench.split.train.targets[at]), bench.split.test.targets
        most = min(max(NEAR), len(at))
        near = torch.cat([(part @ bank.T).topk(most, -1).indices.cpu() for part in queries.split(2048)])
        apart = (known[near] - torch.as_tensor(target[asked])[:, None]).abs().numpy()
        for k in NEAR:
            score = np.full(len(target), np.nan)
            score[asked] = apart[:, :k].mean(1)
            yield self._told(bench, name, name, score, k, len(at), "the nearest training samples by cosine after centring")

    def _asked(self, bench: Bench) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the test samples that ask, and of the training samples with a target."""
        asked = some(len(bench.split.test), self.queries)
        return asked[np.isfinite(bench.split.test.targets[asked])], measured(bench, None, 0)

    def _told(self, bench: Bench, features: str, way: str, score: np.ndarray, k: int, n_train: int, which: str) -> Result:
        return bench.result(features, way, [score], task=self.name, labels=None, n_train=n_train, metric=f"difference@{k}",
                            unit=unit_of(bench.split.test), direction="lower",
                            protocol=f"mean absolute difference of the target, {bench.split.test.target}, to k of {which}; "
                                     f"{int(np.isfinite(score).sum())} test samples ask")


def _shared(bench: Bench) -> bool:
    """Whether a class is on both sides."""
    return bool(set(bench.split.train.labels) & set(bench.split.test.labels) - {-1})


def _alike(bench: Bench, name: str, asked: np.ndarray, at: np.ndarray) -> tuple[Tensor, Tensor]:
    """Features of unit length of the test samples at ``asked`` and the training samples at ``at``, centred by the latter."""
    train, test = bench.sides(name)
    bank = train.features[at].to(bench.device)
    centre = bank.mean(0)
    return tuple(F.normalize(x.to(bench.device) - centre, dim=-1) for x in (test.features[asked], bank))


def ranked(queries: Tensor, labels: np.ndarray, bank: Tensor, known: np.ndarray, numbers: int = 1 << 24) -> tuple[np.ndarray, np.ndarray]:
    """Average precision over the whole ranking, and the rank of the first sample of the class.

    A rank counts all that are at least as like, so what ties is no help.

    Args:
        queries: ``(m, D)`` of unit length.
        labels: ``(m,)``, each of which occurs in ``known``.
        bank: ``(n, D)`` of unit length.
        known: ``(n,)``.
        numbers: similarities that are held at a time.

    Returns:
        ``(m,)`` and ``(m,)``.
    """
    precision, first = np.empty(len(labels)), np.empty(len(labels))
    for label in np.unique(labels):
        same = known == label
        order = np.arange(1, same.sum() + 1)
        for at in np.array_split(mine := np.flatnonzero(labels == label), -(-len(mine) * len(bank) // numbers)):
            likeness = (queries[torch.as_tensor(at, device=queries.device)] @ bank.T).cpu().numpy()
            every, own = (torch.from_numpy(np.sort(side, -1)).contiguous() for side in (likeness, likeness[:, same]))
            below = torch.searchsorted(every, own).numpy()
            rank = (len(bank) - below)[:, ::-1]
            precision[at], first[at] = (order / rank).mean(-1), rank[:, 0]
    return precision, first
