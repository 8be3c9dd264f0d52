"""Forces on atoms: a ridge regression on the vectors of a network, whose answers turn as the atoms do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Count, Encoder
from unveil.data.samples import Samples
from unveil.tasks.bench import Bench
from unveil.tasks.linear import fold_of
from unveil.tasks.local import passed, thinned
from unveil.tasks.regression import GRID
from unveil.tasks.result import Result, jackknife, pseudovalues
from unveil.tasks.task import Task

FOLDS = 5
PIECE = 128  # structures that a network sees at once
STILL = 1e-6  # eV/angstrom: a shorter force is rounding, and its direction says nothing


class Forces(Task):
    """The force on an atom as a weighted sum of the vectors that a frozen network gives it: ``F = sum_d w_d v_d``.

    The weights are the same along the three axes and there is no intercept, so an answer turns with the atoms, as a force does. They are
    those of least squared error with a penalty on their squares (Hoerl and Kennard 1970), each channel over its root mean square, and the
    penalty is the best one over folds of whole structures. Such forces need not be the gradient of any energy.

    Scored are the mean absolute error of a component, and the mean cosine of the angle between the answer and the true force. The row "no
    force" answers zero everywhere, so its error is the mean size of a component.

    Args:
        samples: structures that are learned from, at most, evenly spaced.
    """

    name = "forces"

    def __init__(self, *, samples: Count = 2048):
        self.samples = samples

    def lacks(self, bench: Bench, name: str) -> str:
        if bench.split.train.forced.sum() < 2 or not bench.split.test.forced.any():
            return "forces on the atoms of two structures to learn from and of one to score on, as extended XYZ and files of ASE hold them"
        network = bench.ways[name].network
        if network is None or "vectors" not in network.supports:
            return "a network whose features hold vectors, for samples with places"
        return ""

    def judge(self, bench: Bench, name: str) -> Iterator[Result]:
        network, train = bench.ways[name].network, bench.split.train
        part = train.subset(thinned(np.flatnonzero(train.forced), self.samples))
        weights = fit(network, part, bench.device)
        apart = "structures" if part.groups is None or len(np.unique(part.groups)) < 2 else "groups"
        protocol = ("ridge regression on the network's vectors, the same weights along all axes, no intercept, penalty chosen by "
                    f"cross-validation, whole {apart} apart")
        answers = (vectors @ weights for _, vectors in _rows(network, _known(bench), bench.device))
        yield from self._results(bench, name, name, answers, n_train=len(part), protocol=protocol)

    def controls(self, bench: Bench, name: str) -> Iterator[Result]:
        """Zero for every atom, which has no direction."""
        answer = torch.zeros(int(_known(bench).sizes.sum()), 3)
        error = next(self._results(bench, "no force", name, iter([answer]), n_train=0, protocol="zero for every atom"))
        yield replace(error, encoder="none")

    def _results(self, bench: Bench, features: str, way: str, answers: Iterator[Tensor], **facts: Any) -> Iterator[Result]:
        """Of answers ``(rows, 3)``, piece after piece of the test samples whose forces are known."""
        side = _known(bench)
        told, true = torch.cat([answer.double() for answer in answers]), side.forces_on(torch.arange(len(side))).double()
        owner = np.repeat(bench.part[bench.split.test.forced], side.sizes.numpy())
        length = true.norm(dim=1)
        cosine = (told * true).sum(1) / (told.norm(dim=1) * length).clamp_min(1e-300)
        facts |= dict(task=self.name, labels=None, at={}, n_test=len(side))
        error, moved = _by_part((told - true).abs().mean(1), owner), length > STILL
        yield _figure(bench, features, way, error, (0, None), metric="MAE", unit="eV/angstrom", direction="lower", **facts)
        if moved.any():
            alike = _by_part(cosine[moved], owner[moved.numpy()])
            yield _figure(bench, features, way, alike, (-1, 1), metric="cosine", unit="cosine", **facts)


def _known(bench: Bench) -> Samples:
    """The test samples whose forces are known."""
    return bench.split.test.subset(bench.split.test.forced)


def _by_part(each: Tensor, owner: np.ndarray) -> np.ndarray:
    """Number and sum of what is known of each row, over the parts that have any: ``(parts, 2)``."""
    sums = np.zeros((owner.max() + 1, 2))
    np.add.at(sums, owner, np.stack([np.ones(len(each)), each.numpy()], 1))
    return sums[sums[:, 0] > 0]


def _mean(total: np.ndarray) -> np.ndarray:
    return total[:, 1] / total[:, 0]


def _figure(bench: Bench, features: str, way: str, sums: np.ndarray, limits: tuple[float, float | None], **facts: Any) -> Result:
    """A mean over rows, its error from leaving out whole parts."""
    low, high = np.clip(jackknife(sums, _mean).interval(), *limits).tolist()
    return bench.figure(features, way, _mean(sums.sum(0)[None]).tolist(), low, high, parts=pseudovalues(sums, _mean).tolist(), **facts)


def _rows(network: Encoder, samples: Samples, device: torch.device | str) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Positions of samples, piece after piece, with the network's vectors on their rows ``(sum N, 3, D)`` in double precision."""
    for at, found in passed(network, samples, device, PIECE):
        yield at, found.vectors.double().cpu()


@dataclass
class _Sums:
    """What the squared error on some rows is made of, over the three components of each.

    Attributes:
        square: ``x.T x (D, D)`` of vectors ``x``.
        cross: ``x.T y (D)`` with forces ``y``.
        target: ``y.T y``, a scalar.
        count: number of components.
    """

    square: Tensor
    cross: Tensor
    target: Tensor
    count: int

    @classmethod
    def of(cls, vectors: Tensor, forces: Tensor) -> _Sums:
        """Of vectors ``(n, 3, D)`` and forces ``(n, 3)``."""
        x, y = vectors.flatten(0, 1), forces.double().flatten()
        return cls(x.T @ x, x.T @ y, y @ y, len(y))

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(self.square + other.square, self.cross + other.cross, self.target + other.target, self.count + other.count)

    def scaled(self, scale: Tensor) -> _Sums:
        """The same of vectors over ``scale (D)``."""
        return _Sums(self.square / scale / scale[:, None], self.cross / scale, self.target, self.count)

    def error(self, weights: Tensor) -> Tensor:
        """Squared error ``(R)`` of ``weights (R, D)``."""
        return self.target - 2 * weights @ self.cross + ((weights @ self.square) * weights).sum(1)

    def solved(self, penalties: Tensor) -> Tensor:
        """Weights ``(R, D)`` of least squared error and each penalty on their squares, by one eigendecomposition."""
        spectrum, basis = torch.linalg.eigh(self.square)
        return (basis.T @ self.cross / (spectrum.clamp_min(0) + penalties[:, None])) @ basis.T


def fit(network: Encoder, samples: Samples, device: torch.device | str) -> Tensor:
    """Weights ``(D)`` of the channels of the network's vectors, in double precision: of :data:`unveil.tasks.regression.GRID` the penalty of
    least squared error over folds, of equals the largest. Samples are read once, and no features are kept.

    Args:
        network: whose features hold vectors.
        samples: two at least, whose forces are known.
        device: where the network works.
    """
    fold = fold_of(len(samples), samples.groups, min(FOLDS, len(samples)), np.zeros(len(samples), np.int64))
    held: dict[int, _Sums] = {}
    for at, vectors in _rows(network, samples, device):
        forces, mine = samples.forces_on(torch.as_tensor(at)), torch.as_tensor(np.repeat(fold[at], samples.sizes[at].numpy()))
        for number in mine.unique().tolist():
            sums = _Sums.of(vectors[mine == number], forces[mine == number])
            held[number] = held[number] + sums if number in held else sums
    whole = reduce(add, held.values())
    scale = (whole.square.diagonal() / whole.count).sqrt()
    scale = torch.where(scale > 1e-6 * scale.max(), scale, torch.ones_like(scale))
    penalties = torch.tensor(GRID, dtype=torch.float64)
    error = sum(out.scaled(scale).error(reduce(add, (held[i] for i in held if i != number)).scaled(scale).solved(penalties))
                for number, out in held.items())
    best = len(GRID) - 1 - int(error.flip(0).argmin())
    return whole.scaled(scale).solved(penalties[best:best + 1])[0] / scale
