"""Whether a probe is right as often as it believes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unveil.contracts import Count
from unveil.tasks.bench import Bench
from unveil.tasks.linear import logits, probe, protocol
from unveil.tasks.result import Result, jackknife
from unveil.tasks.task import Task


class Calibration(Task):
    """Probabilities of the linear probe on all labels, against what came true.

    Expected calibration error (Guo et al. 2017), Brier (1950) score and negative log-likelihood.

    Args:
        bins: of equal numbers of samples, in the order of confidence.
    """

    name = "calibration"

    def __init__(self, *, bins: Count = 15):
        self.bins = bins

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        test = bench.sides(name)[1]
        known = test.labels >= 0
        log = logits(probe(bench, name)[None], test.features)[0].log_softmax(-1).cpu().numpy()[known]
        labels, rows = test.labels[known], np.arange(known.sum())
        facts = dict(task=self.name, labels=None, n_train=len(bench.labelled(None, 0)), direction="lower")
        how = protocol(bench, None)
        bins = np.zeros((len(test), self.bins, 2))
        bins[np.flatnonzero(known), place(log.max(-1), self.bins)] = np.stack([np.exp(log.max(-1)), log.argmax(-1) == labels], -1)
        sums = bench.by_part(np.concatenate([bins.reshape(len(test), -1), known[:, None]], -1))
        error = lambda total: calibration_error(total[:, :-1].reshape(len(total), self.bins, 2), total[:, -1])
        found = jackknife(sums[sums[:, -1] > 0], error)
        low, high = found.interval()
        yield bench.figure(name, name, [found.value], max(0.0, low), high, n_test=len(rows),
                           metric="ECE", protocol=f"{how}; {self.bins} bins of equal numbers of samples", **facts)
        whole = np.full(len(test), np.nan)
        for metric, unit, values in (("Brier", "1", np.square(np.exp(log) - np.eye(bench.classes)[labels]).sum(-1)),
                                     ("NLL", "nat", -log[rows, labels])):
            score = whole.copy()
            score[known] = values
            yield bench.result(name, name, [score], metric=metric, unit=unit, protocol=how, **facts)


def place(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Bin of each value ``(n,)``: equal numbers of them, in their order (Nixon et al. 2019)."""
    rank = np.empty(len(confidence), np.int64)
    rank[np.argsort(confidence, kind="stable")] = np.arange(len(confidence))
    return rank * bins // len(confidence)


def calibration_error(bins: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Expected calibration error (Guo et al. 2017).

    Args:
        bins: summed confidence and number that came true, ``(..., bins, 2)``.
        count: samples ``(...)``.
    """
    return np.abs(bins[..., 0] - bins[..., 1]).sum(-1) / count
