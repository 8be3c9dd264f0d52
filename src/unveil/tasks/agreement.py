"""How answers agree with classes: accuracy, and beside it what a frequent class cannot flatter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from unveil.tasks.bench import Bench, right
from unveil.tasks.result import Result, interval, jackknife, pseudovalues


def agreement(bench: Bench, features: str, way: str, answers: Sequence[Tensor], **facts: Any) -> Iterator[Result]:
    """Accuracy, balanced accuracy and Cohen's kappa of what was answered; the first alone where the test samples are of one class.

    The intervals of the other two are of Student over repeats where there are several, else of the jackknife over parts; none where no part
    differs from the whole, as where all is right.

    Args:
        bench: of the labels.
        features: what the results are called by.
        way: whose features or weights were judged.
        answers: for each repeat a class a test sample ``(n_test,)``.
        facts: ``task``, ``protocol``, ``labels``, ``n_train``.
    """
    labels, answers = bench.split.test.labels, [each.cpu() for each in answers]
    yield bench.result(features, way, [right(each, labels) for each in answers], **facts)
    known = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[known])) < 2:
        return
    tables = [_tables(bench, known, each.numpy()[known]) for each in answers]
    for metric, (unit, least, score) in METRICS.items():
        values = [float(score(each.sum(0)[None])[0]) for each in tables]
        low, high = interval(values) if len(values) > 1 else jackknife(tables[0], score).interval()
        low, high = np.clip([low, high], least, 1.0).tolist()
        low, high = (low, high) if low < high else (None, None)
        yield bench.figure(features, way, values, low, high, metric=metric, unit=unit, n_test=len(known),
                           parts=np.mean([pseudovalues(each, score) for each in tables], 0).tolist(), **facts)


def _tables(bench: Bench, known: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """How often each class was answered to each, ``(parts, classes, classes)``, of the parts that have labels."""
    count = max(bench.classes, int(bench.split.test.labels.max()) + 1)
    tables = np.zeros((bench.part.max() + 1, count, count))
    np.add.at(tables, (bench.part[known], bench.split.test.labels[known], answers), 1)
    return tables[tables.any((1, 2))]


def balanced(tables: np.ndarray) -> np.ndarray:
    """Mean recall over the classes that occur (Brodersen et al. 2010): counts by class and answer ``(times, C, C)`` -> ``(times,)``."""
    many = tables.sum(2)
    recall = np.diagonal(tables, axis1=1, axis2=2) / np.maximum(many, 1)
    return recall.sum(1) / np.maximum((many > 0).sum(1), 1)


def kappa(tables: np.ndarray) -> np.ndarray:
    """Agreement beyond that of chance with the same frequencies (Cohen 1960): counts by class and answer ``(times, C, C)`` ->
    ``(times,)``; 0 where chance alone is always right."""
    share = tables / np.maximum(tables.sum((1, 2), keepdims=True), 1)
    both = np.diagonal(share, axis1=1, axis2=2).sum(1)
    chance = (share.sum(1) * share.sum(2)).sum(1)
    return np.where(chance < 1, (both - chance) / np.where(chance < 1, 1 - chance, 1), 0.0)


METRICS = {"balanced accuracy": ("share", 0.0, balanced), "kappa": ("1", -1.0, kappa)}  # unit, least value, of counts
