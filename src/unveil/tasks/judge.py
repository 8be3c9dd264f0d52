"""Judges features by labels: probes at several label budgets, beside the controls, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch, Encoder
from unveil.data.split import Split
from unveil.randomness import Generator
from unveil.tasks.embedded import Embedded, embed
from unveil.tasks.knn import knn_predict
from unveil.tasks.linear import fit, predict
from unveil.tasks.supervised import Supervised, train_on_labels

FEW = 0.1  # C of the probe on few labels
NETWORK_DRAWS = 3  # repeats of training a whole network, which takes a hundred times longer than a probe


def draw(labels: np.ndarray, each: int | None, number: int, seed: int = 0) -> np.ndarray:
    """Positions of ``each`` labelled samples a class (all where a class has fewer); every labelled one for None."""
    if each is None:
        return np.flatnonzero(labels >= 0)
    generator = Generator(seed, "labels", each, number)
    chosen = [at[generator.permutation(len(at)).numpy()[:each]]
              for at in (np.flatnonzero(labels == c) for c in range(labels.max() + 1))]
    return np.sort(np.concatenate(chosen))


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student t interval of a mean; without a second value the interval is the whole line."""
    from scipy.stats import t
    if len(values) < 2:
        return float("-inf"), float("inf")
    half = t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def judge(split: Split, frozen: Mapping[str, Callable[[Batch], Tensor]], trained: Mapping[str, Encoder], kind, *,
          budgets: Sequence[int | None] = (1, 5, 20, None), draws: int = 5, seed: int = 0, supervised: Supervised | None = None,
          device: torch.device | str = "cpu", say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """Accuracy on ``split.test`` for every way of describing a sample and every label budget.

    Args:
        split: where to learn and to score.
        frozen: name -> batch to features; judged by linear probe and kNN.
        trained: name -> network that is trained as a whole on the same labels.
        kind: makes the training views of ``trained``.
        budgets: labels a class; None for all.
        draws: repeats with other labels, for budgets that leave a choice.
        seed: of the draws.
        supervised: settings of ``trained``.
        device: where networks work.
        say: told what is being judged.

    Returns:
        rows with ``task, protocol, features, labels, metric, value, low, high, values, n_train, n_test, split, split_name, seed``.
    """
    rows, classes = [], len(split.train.classes)
    for name, describe in frozen.items():
        say(f"judging {name}")
        sides = embed(split.train, describe, device=device), embed(split.test, describe, device=device)
        rows += [_row(split, "linear", name, each, values, n, seed, _LINEAR.format("chosen by group-wise cross-validation"
                      if each is None else f"{FEW:g}")) for each, values, n in _probe(*sides, classes, budgets, draws, seed)]
        rows.append(_row(split, "knn", name, None, [_knn(*sides, classes)], len(sides[0]), seed, _KNN))
    for name, network in trained.items():
        for each in budgets:
            say(f"judging {name} on {each or 'all'} labels a class")
            values, n = _supervised(split, network, kind, classes, each, draws, seed, supervised or Supervised(), device)
            rows.append(_row(split, "network", name, each, values, n, seed, "all weights trained on the labels, AdamW, light views"))
    return rows


_LINEAR = "multinomial logistic regression on standardised features, C {}"
_KNN = "20 nearest by cosine after centring, votes exp(cosine / 0.07)"


def _probe(train: Embedded, test: Embedded, classes: int, budgets, draws: int, seed: int):
    for each in budgets:
        values, at = [], None
        for number in range(draws if each else 1):
            at = draw(train.labels, each, number, seed)
            groups = None if train.groups is None else train.groups[at]
            w = fit(train.features[torch.as_tensor(at)], train.labels[at], groups, classes, FEW if each else None)
            values.append(_accuracy(predict(w[None], test.features)[0], test.labels))
        yield each, values, len(at)


def _knn(train: Embedded, test: Embedded, classes: int) -> float:
    at = torch.as_tensor(np.flatnonzero(train.labels >= 0))
    found = knn_predict(train.features[at], torch.as_tensor(train.labels)[at], test.features, classes)
    return _accuracy(found, test.labels)


def _supervised(split: Split, network: Encoder, kind, classes: int, each, draws: int, seed: int, settings: Supervised, device):
    values, at = [], None
    for number in range(min(draws, NETWORK_DRAWS) if each else 1):
        at = draw(split.train.labels, each, number, seed)
        answer = train_on_labels(network, split.train.subset(at), split.train.labels[at], classes, kind, settings, seed + number, device)
        values.append(_accuracy(embed(split.test, answer, device=device).features.argmax(-1), split.test.labels))
    return values, len(at)


def _accuracy(found: Tensor, labels: np.ndarray) -> float:
    known = labels >= 0
    return float((found.numpy()[known] == labels[known]).mean())


def _row(split: Split, task: str, features: str, labels: int | None, values: list[float], n: int, seed: int, protocol: str) -> dict:
    mean = float(np.mean(values))
    low, high = np.clip(interval(values), 0.0, 1.0).tolist() if len(values) > 1 else _wilson(mean, int((split.test.labels >= 0).sum()))
    return {"task": task, "protocol": protocol, "features": features, "labels": labels, "metric": "accuracy", "unit": "share",
            "direction": "higher", "value": mean, "low": low, "high": high, "values": values, "n_train": n, "n_test": len(split.test),
            "split": split.hash, "split_name": split.name, "seed": seed}


def _wilson(share: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of one share of ``count`` test samples (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return centre - half, centre + half
