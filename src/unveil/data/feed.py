"""Brings batches to the step: straight from memory, or decoded one batch ahead."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

from unveil.contracts import Batch
from unveil.data.order import stream
from unveil.data.samples import Samples


class Feed:
    """Batches of a run by step number, and the seconds that were spent waiting for them.

    Args:
        samples: what to read.
        seed: of the run.
        batch: samples a step, over all processes.
        rank: this process.
        world: number of processes.
    """

    def __init__(self, samples: Samples, seed: int, batch: int, rank: int = 0, world: int = 1):
        self.samples, self.seed, self.size, self.rank, self.world = samples, seed, batch, rank, world
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
            batch = self.ahead.pop(step, None) or self.pool.submit(self._read, step)
            batch = batch.result()
            self.ahead = {step + 1: self.pool.submit(self._read, step + 1)}
        self.waited += time.perf_counter() - start
        return batch
