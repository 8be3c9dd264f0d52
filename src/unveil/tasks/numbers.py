"""Numbers to predict: which samples a budget draws, and what is said of the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unveil.contracts import Encoder
from unveil.data.samples import Samples
from unveil.randomness import Generator
from unveil.tasks.bench import Bench
from unveil.tasks.result import Result, interval, jackknife, pseudovalues

TENFOLD = 10  # samples that stand for one label a class of a budget, as if there were ten classes
BRACKETS = re.compile(r"[(\[]([^()\[\]]+)[)\]]\s*$")


def by_row(samples: Samples, network: Encoder | None) -> bool:
    """Whether to learn what each row adds to the targets: they grow with a sample, as an energy does, and its features do not.

    Pooled features are a mean over rows and hold no size: nothing linear in them is the energy of molecules of different size, but it
    can be the mean of what each atom adds, as in every network that sums over atoms (Behler and Parrinello 2007). A network whose
    readout is the sum, and counts such as those of a kind's statistics, grow themselves.
    """
    return samples.extensive and network is not None and not network.grows


def learned(samples: Samples, by_row: bool) -> np.ndarray:
    """Targets ``(n,)``, where asked for in shares of a row."""
    return samples.targets / samples.sizes.double().numpy() if by_row else samples.targets


def differ(target: np.ndarray | None) -> bool:
    """Whether there are targets that differ."""
    return target is not None and len(np.unique(target[np.isfinite(target)])) > 1


def predictable(bench: Bench) -> bool:
    """Whether there are targets that differ on both sides."""
    return all(differ(side.targets) for side in (bench.split.train, bench.split.test))


def unit_of(samples: Samples) -> str:
    """The unit of the targets: what stands in brackets behind their name, as in "gap (eV)"; else the name itself."""
    found = BRACKETS.search(samples.target)
    return found[1] if found else samples.target


def budgets(bench: Bench) -> list[int | None]:
    """Those of the bench of which there are enough samples with a target: one of 5 labels a class is one of 50 samples."""
    known = int(np.isfinite(bench.split.train.targets).sum())
    return [each for each in bench.budgets if not each or each * TENFOLD < known]


def measured(bench: Bench, each: int | None, number: int) -> np.ndarray:
    """Positions in the training side of the samples with a target that a budget draws, in draw ``number``."""
    known = np.flatnonzero(np.isfinite(bench.split.train.targets))
    chosen = Generator(bench.seed, "targets", each or 0, number).permutation(len(known)).numpy()[:each and each * TENFOLD]
    return known[np.sort(chosen)]


def coordinates(each: int | None) -> dict[str, Any]:
    """Where a budget is told: a regression knows no classes."""
    return {"samples": each * TENFOLD} if each else {}


def errors(bench: Bench, features: str, way: str, answers: Sequence[np.ndarray], protocol: str, by_row: bool = False,
           **facts: Any) -> Iterator[Result]:
    """R2 and mean absolute error of the answers ``(n_test,)`` of each repeat, which with ``by_row`` are shares of a row."""
    test = bench.split.test
    target, facts = test.targets, dict(labels=None, protocol=f"{protocol}; target {test.target}{', learned by row' * by_row}", **facts)
    answers = [answer * test.sizes.double().numpy() for answer in answers] if by_row else answers
    known = np.isfinite(target)
    sums = [np.where(known, each, 0) for each in (known, target, np.square(target))]
    sums = [bench.by_part(np.stack([*sums, np.where(known, np.square(answer - target), 0)], 1)) for answer in answers]
    sums = [each[each[:, 0] > 0] for each in sums]
    values = [float(r2(each.sum(0)[None])[0]) for each in sums]
    low, high = interval(values) if len(values) > 1 else jackknife(sums[0], r2).interval()
    parts = np.mean([pseudovalues(each, r2) for each in sums], 0).tolist()
    yield bench.figure(features, way, values, low, high, metric="R2", unit="share of variance", n_test=int(known.sum()), parts=parts,
                       **facts)
    yield bench.result(features, way, [np.abs(answer - target) for answer in answers], metric="MAE", unit=unit_of(test),
                       direction="lower", **facts)


def r2(total: np.ndarray) -> np.ndarray:
    """Coefficient of determination: 1 - sum of squared errors / that about the mean of the targets.

    Args:
        total: ``(times, 4)``: number of samples, sums of target, squared target and squared error.
    """
    count, target, square, error = total.T
    return 1 - error / np.maximum(square - target**2 / np.maximum(count, 1), 1e-12 * square + 1e-300)
