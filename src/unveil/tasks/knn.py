"""Nearest neighbours on frozen features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Count, Positive
from unveil.tasks.agreement import agreement
from unveil.tasks.bench import Bench
from unveil.tasks.result import Result
from unveil.tasks.task import Task


class KNN(Task):
    """Votes of the nearest training samples, all labels.

    Args:
        k: votes.
        temperature: of their weights.
    """

    name = "knn"

    def __init__(self, *, k: Count = 20, temperature: Positive = 0.07):
        self.k, self.temperature = k, temperature

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        train, test = bench.sides(name)
        at = bench.labelled(None, 0)
        found = knn_predict(train.features[at], torch.as_tensor(train.labels[at]), test.features, bench.classes, self.k, self.temperature)
        yield from agreement(bench, name, name, [found], task=self.name, labels=None, n_train=len(at),
                             protocol=f"{self.k} nearest by cosine after centring, votes exp(cosine / {self.temperature:g})")


def knn_predict(train: Tensor, labels: Tensor, test: Tensor, classes: int, k: int = 20, temperature: float = 0.07) -> Tensor:
    """Class by a vote of the ``k`` most similar training samples, weighted by exp(cosine / temperature) (Wu et al. 2018).

    Args:
        train: ``(n, D)``; centred on its mean before the cosine, as the test features are.
        labels: int64 ``(n,)``.
        test: ``(m, D)``.
        classes: number of classes.
        k: votes.
        temperature: of their weights.
    """
    centre = train.mean(0)
    bank, k = F.normalize(train - centre, dim=-1), min(k, len(train))
    votes = []
    for part in (test - centre).split(2048):
        near, at = (F.normalize(part, dim=-1) @ bank.T).topk(k, -1)
        weight = ((near - near[:, :1]) / temperature).exp()
        votes.append(torch.zeros(len(part), classes, device=part.device).scatter_add_(1, labels[at], weight).argmax(-1))
    return torch.cat(votes)
