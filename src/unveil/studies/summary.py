"""What rows say together: means over splits and seeds, and paired gains."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unveil.recipes.check import find
from unveil.tasks.numbers import TENFOLD
from unveil.tasks.result import interval

NUMBERS = ("R2", "MAE")  # metrics of numbers to predict, whose budgets are samples


@dataclass(frozen=True)
class Figure:
    """What arms are judged by.

    Attributes:
        task: that judges them.
        metric: of that task.
    """

    task: str = "linear"
    metric: str = "accuracy"

    @property
    def taught(self) -> str:
        """What the features of an arm are called, see :class:`unveil.tasks.task.Task`."""
        return find("task", self.task).taught

    @property
    def untaught(self) -> str:
        """What those of the same network without teaching are called."""
        return find("task", self.task).untaught

    def budget(self, each: int | None) -> str:
        """A budget in words."""
        if self.metric in NUMBERS:
            return f"{each * TENFOLD} samples" if each else "all samples"
        return f"{each or 'all'} labels a class"


ACCURACY = Figure()


def held(row: Mapping[str, Any], figure: Figure, features: str, labels: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The scores of a row by one figure at one budget, each with the split that it is from."""
    for fold in row["folds"]:
        for score in fold["scores"]:
            at, each = score.get("at") or {}, score["labels"]
            if set(at) == {"samples"}:
                at, each = {}, at["samples"] // TENFOLD
            if not at and (score["task"], score.get("metric", "accuracy"), score["features"], each) == (
                    figure.task, figure.metric, features, labels):
                yield fold["split"], score


def scores(rows: Iterable[dict[str, Any]], arm: str, task: str, features: str, labels: int | None,
           metric: str = "accuracy") -> dict[tuple[int, str], float]:
    """Mean over draws for each (seed, split)."""
    return {(row["seed"], split): float(np.mean(score["values"])) for row in rows if row["arm"] == arm
            for split, score in held(row, Figure(task, metric), features, labels)}


def facts(rows: Iterable[dict[str, Any]], figure: Figure) -> tuple[str, int]:
    """The unit of a figure, and 1 where more of it is better, else -1."""
    for row in rows:
        for fold in row["folds"]:
            for score in fold["scores"]:
                if (score["task"], score.get("metric", "accuracy")) == (figure.task, figure.metric):
                    return score.get("unit", "share"), -1 if score.get("direction") == "lower" else 1
    return "share", 1


def mean(found: dict) -> tuple[float, float, float]:
    """Mean and its interval over splits and seeds."""
    values = list(found.values())
    return (float(np.mean(values)), *interval(values))


def gain(a: dict, b: dict, sign: int = 1) -> tuple[float, float, float]:
    """Mean paired difference ``a - b`` over what both have, and its interval; ``sign`` -1 where less is better."""
    values = [sign * (a[k] - b[k]) for k in a if k in b]
    return (float(np.mean(values)), *interval(values))


def decimals(figure: Figure, smallest: float) -> int:
    """Places behind the point: three for accuracies, else one more than the smallest difference that matters needs."""
    return 3 if figure.metric == ACCURACY.metric else max(0, 1 - math.floor(math.log10(smallest)))
