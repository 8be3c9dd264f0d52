"""Brings batches to the step: straight from memory, or decoded ahead; on the way to a GPU always ahead, in memory that it can read while
the host goes on."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from unveil.contracts import Batch
from unveil.data.order import Order
from unveil.data.samples import Samples

AHEAD = 3  # batches that are decoded while steps are made: more than one, so that neither waits where their times vary


class Feed:
    """Batches of a run by step number, and the seconds that were spent waiting for them.

    Args:
        samples: what to read.
        order: of them.
        rank: this process.
        steps: batches that the run will ask for; none beyond is read.
    """

    def __init__(self, samples: Samples, order: Order, rank: int = 0, steps: int | None = None):
        self.samples, self.order, self.rank, self.steps = samples, order, rank, steps
        self.ahead: dict[int, Future] = {}
        self.pinned = torch.cuda.is_available()
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="feed") if self.pinned or not samples.in_memory else None
        self.waited = 0.0

    def _read(self, step: int) -> Batch:
        batch = self.samples.batch(*self.order(step, self.rank))
        return batch.map(lambda x: x.contiguous().pin_memory()) if self.pinned else batch

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
