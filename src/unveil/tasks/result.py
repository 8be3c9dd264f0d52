"""The one form of a result: a figure that says what it is, of what, how sure, and how it was made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Result:
    """A figure with everything that is needed to believe it. One that lacks any of it cannot be made.

    Attributes:
        task: who judged, such as ``"linear"``.
        protocol: how, in words.
        features: what was judged, such as ``"encoder"`` or ``"random init"``.
        labels: labels a class; None for all of them, or where none are used.
        metric: name, such as ``"accuracy"``.
        unit: of the value.
        direction: which way is better.
        value: mean of ``values``.
        low: lower end of the 95% interval; None where none can be given.
        high: upper end.
        values: one a repeat.
        parts: value of each part of the test samples (a subject, or a block of samples), mean over repeats; where the metric is no mean
            over samples it is the whole's plus what the part adds to it. Empty where that is not known.
        n_train: labelled samples that were learned from.
        n_test: samples that were scored.
        split: hash of the split.
        split_name: how it was made.
        seed: of draws and networks.
        code: version of the code.
        encoder: hash of the weights, or of what stands for them.
        at: further coordinates, such as ``{"corruption": "blur", "severity": 3}``.
    """

    task: str
    protocol: str
    features: str
    labels: int | None
    metric: str
    unit: str
    direction: Literal["higher", "lower"]
    value: float
    low: float | None
    high: float | None
    values: list[float]
    parts: list[float]
    n_train: int
    n_test: int
    split: str
    split_name: str
    seed: int
    code: str
    encoder: str
    at: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("task", "protocol", "features", "metric", "unit", "split", "split_name", "code", "encoder"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError(f"a result needs its {name}")
        if self.direction not in ("higher", "lower"):
            raise ValueError(f"a result's direction is higher or lower, not {self.direction!r}")
        if not self.values or not all(math.isfinite(x) for x in (self.value, *self.values)):
            raise ValueError(f"the result {self.task}/{self.metric} of {self.features} is not finite: {self.values}")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends")
        if self.n_test < 1:
            raise ValueError("a result needs test samples")

    def row(self) -> dict[str, Any]:
        """As it is written."""
        return asdict(self)


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student t interval of a mean; without a second value the interval is the whole line."""
    from scipy.stats import t
    if len(values) < 2:
        return float("-inf"), float("inf")
    half = t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def wilson(share: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of one share of ``count`` samples (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return centre - half, centre + half


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and the degrees of freedom of that."""

    value: float
    error: float
    freedom: float

    def __sub__(self, other: Estimate) -> Estimate:
        """Of independent ones, with the degrees of freedom of Welch (1947)."""
        both = self.error**2 + other.error**2
        freedom = both**2 / max(self.error**4 / self.freedom + other.error**4 / other.freedom, 1e-300)
        return Estimate(self.value - other.value, both**0.5, max(freedom, 1.0))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Of Student; the whole line where the error is not known."""
        from scipy.stats import t
        half = t.ppf((1 + level) / 2, self.freedom) * self.error if math.isfinite(self.error) else math.inf
        return float(self.value - half), float(self.value + half)


def jackknife(sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """A statistic of sums over parts, its error from leaving out each part in turn (Tukey 1958).

    Parts are often three or four people: the percentiles of a bootstrap are too narrow for so few, and lie beside the value where the
    statistic is not linear.

    Args:
        sums: what each part adds ``(parts, ...)``.
        statistic: totals ``(times, ...)`` -> values ``(times,)``.
    """
    total, parts = sums.sum(0)[None], len(sums)
    value = float(statistic(total)[0])
    if parts < 2:
        return Estimate(value, math.inf, 1.0)
    left = statistic(total - sums)
    return Estimate(value, float(np.sqrt((parts - 1) / parts * np.square(left - left.mean()).sum())), parts - 1.0)


def pseudovalues(sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The statistic, plus what each part adds to it ``(parts,)``: their mean is the statistic, and the standard error of that mean is the
    one of :func:`jackknife`. So what is no mean over samples can be paired by part; see there for the arguments."""
    total, parts = sums.sum(0)[None], len(sums)
    left = statistic(total - sums) if parts > 1 else np.zeros(parts)
    return statistic(total) + (parts - 1) * (left.mean() - left)
