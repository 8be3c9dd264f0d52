"""What tasks judge on: one split, every way of describing its samples, and features that are computed once and shared."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch, Encoder
from unveil.data.split import Split
from unveil.provenance import code_version, fingerprint
from unveil.randomness import Generator
from unveil.tasks.embedded import Embedded, embed, frozen
from unveil.tasks.result import Result, interval, jackknife, wilson

BLOCKS = 20  # parts of the test samples where they have no groups
PATIENCE = 5.0  # seconds between two words about how far a long step is


@dataclass(frozen=True)
class Way:
    """A way of describing a sample.

    Attributes:
        describe: batch -> ``(B, D)``.
        network: what describes, where it is a network.
        trained: what the network is called after training it on the labels; empty where that is not asked for.
        hash: of the weights; empty takes that of the features.
    """

    describe: Callable[[Batch], Tensor]
    network: Encoder | None = None
    trained: str = ""
    hash: str = ""

    @classmethod
    def frozen(cls, encoder: Encoder, trained: str = "") -> Way:
        """The pooled features of an encoder in evaluation mode."""
        return cls(frozen(encoder), encoder, trained, fingerprint(encoder.state_dict()))


@dataclass
class Bench:
    """Where tasks get everything from.

    Attributes:
        split: where to learn and to score; both sides have labels.
        ways: name -> way.
        kind: makes views and corruptions; None for features from elsewhere.
        budgets: labels a class; None for all.
        draws: repeats with other labels, for budgets that leave a choice.
        seed: of draws and networks.
        device: where networks work.
        say: told what is being judged.
        controls: tasks also yield what they alone have beside them.
    """

    split: Split
    ways: Mapping[str, Way]
    kind: Any = None
    budgets: Sequence[int | None] = (1, 5, 20, None)
    draws: int = 5
    seed: int = 0
    device: torch.device | str = "cpu"
    say: Callable[[str], None] = lambda text: None
    controls: bool = True
    _made: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        return len(self.split.train.classes)

    def sides(self, name: str) -> tuple[Embedded, Embedded]:
        """Features of both sides under a way, computed at the first call."""
        sides = (self.split.train, self.split.test)
        tick = self.counter(f"{name}: samples described", sum(map(len, sides)))
        return self.once(("sides", name), lambda: tuple(embed(side, self.ways[name].describe, device=self.device, tick=tick)
                                                        for side in sides))

    def once(self, what: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` returned at the first call for ``what``: tasks share what costs time."""
        if what not in self._made:
            self._made[what] = make()
        return self._made[what]

    def counter(self, what: str, total: int) -> Callable[[int], None]:
        """To be called with what was done of a long step: says every few seconds how far it is and what time is left."""
        begun = last = time.monotonic()
        done = 0

        def tick(more: int) -> None:
            nonlocal done, last
            done, now = done + more, time.monotonic()
            if now - last > PATIENCE and done < total:
                last = now
                self.say(f"{what}: {done:,} of {total:,}, {(now - begun) * (total - done) / done:.0f} s left")

        return tick

    def repeats(self, each: int | None) -> int:
        """Draws that differ: all labels leave no choice."""
        return self.draws if each else 1

    def labelled(self, each: int | None, number: int) -> np.ndarray:
        """Positions in the training side of ``each`` labelled samples a class, in draw ``number``."""
        return draw(self.split.train.labels, each, number, self.seed)

    @property
    def smallest(self) -> int:
        """Labels of the class that has the fewest to learn from."""
        found = np.bincount(self.split.train.labels[self.split.train.labels >= 0])
        return int(found[found > 0].min())

    def result(self, features: str, way: str, scores: Sequence[np.ndarray], **facts: Any) -> Result:
        """A metric that is a mean over test samples.

        Its interval is of Student over repeats where there are several; else of Wilson for accuracy, and of the jackknife over parts for
        what is no count.

        Args:
            features: what the result is called by.
            way: whose features or weights were judged.
            scores: for each repeat, one a test sample ``(n_test,)``, NaN where it has no label.
            facts: ``task``, ``protocol``, ``labels``, ``n_train`` and, other than accuracy, ``metric``, ``unit``, ``direction``.
        """
        values = [float(np.nanmean(score)) for score in scores]
        known = int(np.isfinite(scores[0]).sum())
        if len(values) > 1:
            low, high = interval(values)
        elif facts.get("metric", "accuracy") == "accuracy":
            low, high = wilson(values[0], known)
        else:
            there = np.isfinite(scores[0])
            sums = self.by_part(np.stack([there, np.where(there, scores[0], 0)], 1))
            low, high = jackknife(sums[sums[:, 0] > 0], lambda total: total[:, 1] / total[:, 0]).interval()
        if facts.get("unit", "share") == "share":
            low, high = np.clip([low, high], 0.0, 1.0).tolist()
        mean = np.mean(scores, 0)
        blocks = [mean[self.part == p] for p in range(self.part.max() + 1)]
        parts = [float(np.nanmean(block)) for block in blocks if np.isfinite(block).any()]
        return self.figure(features, way, values, low, high, parts=parts, n_test=known, **facts)

    def by_part(self, each: np.ndarray) -> np.ndarray:
        """What each test sample adds ``(n_test, ...)``, summed over each part ``(parts, ...)``: from which a jackknife leaves one out."""
        sums = np.zeros((self.part.max() + 1, *each.shape[1:]))
        np.add.at(sums, self.part, each)
        return sums

    def figure(self, features: str, way: str, values: Sequence[float], low: float | None, high: float | None, *,
               parts: Sequence[float] = (), n_test: int | None = None, metric: str = "accuracy", unit: str = "share",
               direction: str = "higher", **facts: Any) -> Result:
        """A metric with its own interval, of all test samples where no number of them is given; see :meth:`result`."""
        return Result(features=features, metric=metric, unit=unit, direction=direction, value=float(np.mean(values)), low=low, high=high,
                      values=list(values), parts=list(parts), n_test=len(self.split.test) if n_test is None else n_test,
                      split=self.split.hash, split_name=self.split.name, seed=self.seed, code=code_version(), encoder=self._hash(way),
                      **facts)

    def _hash(self, name: str) -> str:
        way = self.ways[name]
        if way.hash:
            return way.hash
        first, _ = self.sides(name)
        return hashlib.sha256(first.features.numpy().tobytes()).hexdigest()[:12]

    @property
    def grouped(self) -> bool:
        """Whether test samples are of several groups that are known."""
        groups = self.split.test.groups
        return groups is not None and len(np.unique(groups)) > 1

    @cached_property
    def part(self) -> np.ndarray:
        """Part of each test sample ``(n_test,)``: its group, or one of :data:`BLOCKS` blocks at random where there are no groups."""
        test = self.split.test
        if self.grouped:
            return np.unique(test.groups, return_inverse=True)[1]
        order = Generator(0, "blocks").permutation(len(test)).numpy()
        return order % min(BLOCKS, len(test))


def draw(labels: np.ndarray, each: int | None, number: int, seed: int = 0) -> np.ndarray:
    """Positions of ``each`` labelled samples a class (all where a class has fewer); every labelled one for None."""
    if each is None:
        return np.flatnonzero(labels >= 0)
    generator = Generator(seed, "labels", each, number)
    chosen = [at[generator.permutation(len(at)).numpy()[:each]]
              for at in (np.flatnonzero(labels == c) for c in range(labels.max() + 1))]
    return np.sort(np.concatenate(chosen))


def spread(count: int, most: int) -> np.ndarray:
    """Positions of at most ``most`` of ``count`` samples, evenly spaced."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)


def some(count: int, most: int) -> np.ndarray:
    """Positions of at most ``most`` of ``count`` samples: at random, as evenly spaced ones may all be of one class; always the same."""
    return np.sort(Generator("some", most).permutation(count).numpy()[:most])


def right(found: Tensor, labels: np.ndarray) -> np.ndarray:
    """1 where a prediction is right, 0 where it is wrong, NaN where the label is unknown: ``(n,)``."""
    return np.where(labels >= 0, found.cpu().numpy() == labels, np.nan).astype(np.float64)
