"""Brings batches to the step: straight from memory, or decoded ahead."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

from unveil.contracts import Batch
from unveil.data.order import stream
from unveil.data.samples import Samples

AHEAD = 3  # batches that are decoded while steps are made: more than one, so that neither waits where their times vary


class Feed:
    """Batches of a run by step number, and the seconds that were spent waiting for them.

    Args:
        samples: what to read.
        seed: of the run.
        batch: samples a step, over all processes.
        rank: this process.
        world: number of processes.
        steps: batches that the run will ask for; none beyond is read.
    """

    def __init__(self, samples: Samples, seed: int, batch: int, rank: int = 0, world: int = 1,
                 steps: int | None = None):
        self.samples, self.seed, self.size, self.rank, self.world = samples, seed, batch, rank, world
        self.steps = steps
        self.ahead: dict[int, Future] = {}
        self.pool = None if samples.in_memory else ThreadPoolExecutor(1, thread_name_prefix="feed")
        self.waited = 0.0

    def _read(self, step: int) -> Batch:
        at, keys = stream(self.seed, step, self.size, len(self.samples), self.rank, self.world)
        return self.samples.batch(at, keys)

    def __call__(self, step: int) -> Batch:
        start = time.perf_counter()
        if self.pool is None:
            batch = self._read(step)
        else:
            coming = range(step, step + 1 + AHEAD) if self.steps is None else range(step, min(step + 1 + AHEAD, self.steps))
            self.ahead = {at: self.ahead.get(at) or self.pool.submit(self._read, at) for at in coming}
            batch = self.ahead.pop(step).result()
        self.waited += time.perf_counter() - start
        return batch
