"""Which samples come when: a pure function of seed and step, so a checkpoint holds no loader state."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from threading import Lock

import torch
from torch import Tensor

from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.randomness import Generator

WALKED = 1 << 16  # places of a stream that are cut into batches at a time, or an epoch


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    """The order of ``count`` samples in an epoch."""
    return Generator(seed, "order", epoch).permutation(count)


def stream(seed: int, step: int, batch: int, count: int, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor]:
    """What process ``rank`` of ``world`` reads at ``step``.

    Epochs follow one another without a gap, so every batch is full and a data set may be smaller than a batch.

    Returns:
        positions in the data set and places in the stream, ``(batch / world,)`` each.
    """
    part = batch // world
    keys = torch.arange(step * batch + rank * part, step * batch + (rank + 1) * part)
    return positions(seed, keys, count), keys


def positions(seed: int, keys: Tensor, count: int) -> Tensor:
    """Where in the data set the samples at places ``keys``, ascending, of the stream lie."""
    epochs = keys // count
    at = torch.empty_like(keys)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
        here = epochs == epoch
        at[here] = epoch_order(seed, epoch, count)[keys[here] % count]
    return at


class Order:
    """The batches of a run.

    With a budget of rows a batch holds as many samples as fit, in the order of the stream, so memory does not hang on which large samples
    meet. Where its batches begin is found by walking the stream from its start, and kept.

    Args:
        samples: what is read.
        seed: of the run.
        batch: samples a batch, at most.
        rows: of packed samples, over all samples of a batch, at most; None takes ``batch`` samples always.
        world: processes that share a batch; each has equally many of its samples.
    """

    def __init__(self, samples: Samples, seed: int, batch: int, rows: int | None = None, world: int = 1):
        self.count, self.seed, self.batch, self.rows, self.world = len(samples), seed, batch, rows, world
        self.sizes = samples.sizes if rows else None
        self.starts, self.walking = [0], Lock()

    def start(self, step: int) -> int:
        """Samples that are read before ``step``."""
        if self.rows is None:
            return step * self.batch
        with self.walking:
            while len(self.starts) <= step:
                self._walk()
        return self.starts[step]

    def _walk(self) -> None:
        first = self.starts[-1]
        keys = torch.arange(first, first + max(2 * self.batch, min(WALKED, self.count)))
        ends, begin, before = self.sizes[positions(self.seed, keys, self.count)].cumsum(0).tolist(), 0, 0
        while begin + self.batch <= len(ends):
            fit = bisect_right(ends, before + self.rows, begin, begin + self.batch) - begin
            begin += max(self.world, fit // self.world * self.world)
            before = ends[begin - 1]
            self.starts.append(first + begin)

    def __call__(self, step: int, rank: int = 0) -> tuple[Tensor, Tensor]:
        """Positions in the data set and places in the stream of what process ``rank`` reads at ``step``."""
        first, last = self.start(step), self.start(step + 1)
        part = (last - first) // self.world
        keys = torch.arange(first + rank * part, first + (rank + 1) * part)
        return positions(self.seed, keys, self.count), keys

    def steps(self, epochs: float) -> int:
        """Batches after which every sample was read ``epochs`` times, at least one."""
        if self.rows is None:
            return max(1, round(epochs * self.count / self.batch))
        step = 1
        while self.start(step) < epochs * self.count:
            step += 1
        return step


def within(samples: Samples, rows: int | None, parts: int = 1) -> tuple[Samples, dict[str, str]]:
    """The samples that a budget of rows holds, and what is set aside, name -> reason.

    Args:
        samples: of a run.
        rows: of a batch, at most; None sets nothing aside.
        parts: processes and accumulated parts that a batch is divided among: each holds at least one sample.

    Raises:
        Unusable: where samples have no rows, or none of them fits.
    """
    if rows is None:
        return samples, {}
    if not samples.packed:
        raise Unusable(f"train.rows bounds batches of samples of unequal size; these are all {samples.looks}: use --train.batch alone")
    most, sizes = rows // parts, samples.sizes
    budget = f"the budget of a batch is {rows:,}" + (f", shared by {parts} parts" if parts > 1 else "")
    large = (sizes > most).nonzero()[:, 0].tolist()
    if len(large) == len(samples):
        raise Unusable(f"every sample has more rows than fit: the smallest has {int(sizes.min()):,}, {budget}. Raise --train.rows")
    faults = {samples.name(int(samples.index[at])): f"has {int(sizes[at]):,} rows, {budget}" for at in large}
    return (samples.subset((sizes <= most).numpy()) if large else samples), faults
