"""Finding samples of the same class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Count
from unveil.tasks.bench import Bench, some
from unveil.tasks.result import Result
from unveil.tasks.task import Task


class Retrieve(Task):
    """Training samples in the order of their likeness to a test sample.

    Args:
        queries: test samples, at most.
    """

    name = "retrieve"

    def __init__(self, *, queries: Count = 2000):
        self.queries = queries

    def lacks(self, bench: Bench, name: str) -> str:
        sides = bench.split.train.labels, bench.split.test.labels
        return super().lacks(bench, name) or ("" if set(sides[0]) & set(sides[1]) - {-1} else "a class on both sides of the split")

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        (train, test), at = bench.sides(name), bench.labelled(None, 0)
        asked = some(len(test), self.queries)
        asked = asked[np.isin(test.labels[asked], train.labels[at])]
        bank = train.features[at].to(bench.device)
        centre = bank.mean(0)
        alike = lambda x: F.normalize(x.to(bench.device) - centre, dim=-1)
        precision, first = ranked(alike(test.features[asked]), test.labels[asked], alike(bank), train.labels[at])
        found = {"mAP": precision, **{f"recall@{k}": (first <= k).astype(float) for k in (1, 5, 10)}}
        for metric, values in found.items():
            score = np.full(len(test), np.nan)
            score[asked] = values
            yield bench.result(name, name, [score], task=self.name, labels=None, n_train=len(at), metric=metric,
                               protocol=f"{len(asked)} test samples ask for training samples of their class, by cosine after centring; "
                                        "recall@k: one is among the k nearest")


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
