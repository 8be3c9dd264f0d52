"""The linear probe on few labels, and how it gains with more of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unveil.contracts import Count
from unveil.tasks.bench import Bench
from unveil.tasks.linear import Linear
from unveil.tasks.result import Result


class FewShot(Linear):
    """The linear probe on a few labels a class, each budget drawn several times.

    Args:
        labels: budgets, in labels a class; those above the smallest class are left out.
    """

    name = "few-shot"

    def __init__(self, *, labels: tuple[Count, ...] = (1, 2, 5, 10, 20)):
        self.labels = labels

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        left = [str(each) for each in self.labels if each > bench.smallest]
        note = f"; the smallest class has {bench.smallest} labels: {' and '.join(left)} left out" if left else ""
        yield from self.at(bench, name, [each for each in self.labels if each <= bench.smallest], note)


class Curve(Linear):
    """Label efficiency: the linear probe from one label a class to all, in equal ratios.

    Args:
        points: budgets, fewer where a class is so small that they would be alike.
    """

    name = "curve"

    def __init__(self, *, points: Count = 6):
        self.points = points

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        ratios = np.geomspace(1, bench.smallest, self.points).round().astype(int)
        yield from self.at(bench, name, [*dict.fromkeys(ratios[:-1].tolist()), None])
