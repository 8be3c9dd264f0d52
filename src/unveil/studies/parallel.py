"""Folds of a study side by side: small networks use one core well and two badly, so each process gets its share of the cores."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from unveil.errors import Unusable

TOLD = 5  # times that a run tells how far it is


def side_by_side(work: Callable[..., Any], tasks: Sequence[tuple], names: Sequence[str], jobs: int, say: Callable[[str], None]) -> None:
    """Calls ``work(*task, show=..., say=...)`` for every task, ``jobs`` at a time, each in a process of its own.

    Args:
        work: a function of a module.
        tasks: its arguments.
        names: of the tasks, before what they say.
        jobs: processes.
        say: told what they say.

    Raises:
        what ``work`` raises; the other tasks end first, so that their results are kept.
        Unusable: where one of the processes is gone; the others end at once.
    """
    context = multiprocessing.get_context("spawn")
    threads, others = max(1, (os.cpu_count() or 1) // jobs), set(multiprocessing.active_children())
    said = context.Queue()
    with ProcessPoolExecutor(jobs, context, _begin, (threads, said)) as pool:
        waiting = {pool.submit(_work, work, task, name) for task, name in zip(tasks, names, strict=True)}
        every, began, processes = set(waiting), time.perf_counter(), set(multiprocessing.active_children()) - others
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                if not all(process.is_alive() for process in processes):  # the pool does not see it of one that it began late
                    raise BrokenProcessPool
                while not said.empty():
                    say(said.get())
                ended = len(every) - len(waiting)
                if done and waiting:
                    left = (time.perf_counter() - began) * len(waiting) / ended
                    say(f"{ended} of {len(every)} done, about {left / 60:.0f} min left")
            for future in every:
                future.result()
        except BrokenProcessPool as why:
            for process in processes:
                process.kill()  # else the pool waits for the end of what they are doing
            raise Unusable("one of the processes that ran side by side is gone: it was killed, or memory ran out. What is finished is "
                           "kept; the same command goes on from the last checkpoints, with fewer --jobs in less memory") from why


def _begin(threads: int, queue) -> None:
    """Prepares a process of its own, which ends where the one that started it is gone: nobody would take what it makes."""
    global said
    said = queue
    torch.set_num_threads(threads)
    threading.Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()


def _work(work: Callable[..., Any], task: tuple, name: str) -> None:
    part = [-1]

    def show(row: dict[str, Any]) -> None:
        if TOLD * row["step"] // row["total"] != part[0]:
            part[0] = TOLD * row["step"] // row["total"]
            left = row["seconds"] * (row["total"] - row["step"]) / row["step"]
            said.put(f"{name}: step {row['step']}/{row['total']}  loss {row['loss']:.3f}  {left:.0f} s left")

    work(*task, show=show, say=lambda text: said.put(f"{name}: {text}"))
