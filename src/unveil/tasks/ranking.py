"""Area under the ROC curve: how often a sample of a class is rated above one that is not of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.tasks.bench import Bench
from unveil.tasks.result import Estimate, Result, interval


def areas(bench: Bench, features: str, way: str, logits: Sequence[Tensor], protocol: str, **facts: Any) -> Iterator[Result]:
    """The area under the ROC curve of what was answered, for several classes the mean over each against the rest; nothing where the test
    samples are of one class.

    The interval is of Student over repeats where there are several; else of DeLong et al. (1988) over samples, or over the test samples'
    groups, where these are known (Obuchowski 1997). ``parts`` hold the area plus what each part adds to it in first order, so their mean
    is the area and their spread its uncertainty.

    Args:
        bench: of the labels.
        features: what the result is called by.
        way: whose features or weights were judged.
        logits: for each repeat ``(n_test, classes)``.
        protocol: how the answers were made.
        facts: ``task``, ``labels``, ``n_train``.
    """
    labels = bench.split.test.labels
    known = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[known])) < 2:
        return
    found = [macro(odds(each.cpu().double())[torch.as_tensor(known)].numpy(), labels[known]) for each in logits]
    parts = np.unique(bench.part[known], return_inverse=True)[1]
    count, grouped = parts.max() + 1, bench.grouped
    values = [value for value, _ in found]
    adds = np.bincount(parts, np.mean([influence for _, influence in found], 0), count)
    if len(values) > 1:
        low, high = interval(values)
    else:
        low, high = spread(*found[0], labels[known], parts if grouped else None).interval()
    ends = (low, high) if np.isfinite([low, high]).all() and low < high else (None, None)
    low, high = (None if end is None else float(np.clip(end, 0, 1)) for end in ends)
    several = ", mean over classes, each against the rest" if bench.classes > 2 else ""
    yield bench.figure(features, way, values, low, high, metric="ROC-AUC", n_test=len(known),
                       parts=(np.mean(values) + count * adds).tolist() if count > 1 else [],
                       protocol=f"{protocol}; area under the ROC curve, ties count half{several}", **facts)


def odds(logits: Tensor) -> Tensor:
    """Log odds of each class against all others together ``(n, classes)``: as ordered as its probability, and never cut off near 0 or 1.
    To nine places, so that equal ones are not parted by rounding."""
    others = torch.stack([torch.cat([logits[:, :c], logits[:, c + 1:]], 1).logsumexp(1) for c in range(logits.shape[1])], 1)
    return (logits - others).round(decimals=9)


def area(scores: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of pairs (one positive, one not) in which the positive has the higher score, equal scores counting half, and by how much
    each sample moves it in first order ``(n,)``, which sums to 0 (the structural components of DeLong et al. 1988).

    Args:
        scores: ``(n,)``.
        positive: bool ``(n,)``, with both values.
    """
    from scipy.stats import rankdata
    many, few = positive.sum(), (~positive).sum()
    rank, above = rankdata(scores), np.empty(len(scores))
    above[positive] = (rank[positive] - rankdata(scores[positive])) / few
    above[~positive] = 1 - (rank[~positive] - rankdata(scores[~positive])) / many
    value = float(above[positive].mean())
    return value, (above - value) / np.where(positive, many, few)


def macro(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """:func:`area` of the second of two classes, or its mean over the classes that occur, each against the rest.

    Args:
        scores: ``(n, classes)``.
        labels: ``(n,)``, two classes at least.
    """
    there = [1] if scores.shape[1] == 2 else np.unique(labels)
    found = [area(scores[:, c], labels == c) for c in there]
    return float(np.mean([value for value, _ in found])), np.mean([influence for _, influence in found], 0)


def spread(value: float, influence: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> Estimate:
    """The area with its standard error, over samples of each class or over whole groups; not known where a class has one sample, or there
    is one group."""
    if groups is not None:
        sums = np.bincount(groups, influence)
        return Estimate(value, float(np.sqrt(len(sums) / max(len(sums) - 1, 1e-300) * np.square(sums).sum())), max(len(sums) - 1.0, 1.0))
    sizes = np.bincount(labels)[labels]
    if (sizes < 2).any():
        return Estimate(value, np.inf, 1.0)
    return Estimate(value, float(np.sqrt((np.square(influence) * sizes / (sizes - 1)).sum())), np.inf)
