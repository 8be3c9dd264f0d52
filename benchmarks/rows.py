"""Timing, and rows with date, machine and load."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from scipy.stats import binom

from unveil.studies.study import code_version, machine
from unveil.training.checkpoint import write_json


def processor_ms(run: Callable[[], object], least: float = 0.5, rounds: int = 5) -> float:
    """Milliseconds of processor time of a call: the median of ``rounds``, each of ``least`` seconds after one to warm up."""
    run()
    found = []
    for _ in range(rounds):
        began, ended, calls = time.process_time(), time.perf_counter() + least / rounds, 0
        while calls == 0 or time.perf_counter() < ended:
            run()
            calls += 1
        found.append(1000 * (time.process_time() - began) / calls)
    return round(median(found), 3)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median and the order statistics that hold it in at least 95% of cases, whatever the distribution."""
    ordered = sorted(values)
    rank = int(binom.ppf(0.025, len(ordered), 0.5))
    return median(ordered), ordered[max(rank - 1, 0)], ordered[min(len(ordered) - rank, len(ordered) - 1)]


def write(name: str, rows: list[dict], **facts) -> None:
    """Keeps rows as ``results/benchmarks/NAME.json``.

    Args:
        name: of the benchmark.
        rows: what was measured.
        **facts: how.
    """
    write_json(Path("results") / "benchmarks" / f"{name}.json", {
        "date": str(datetime.date.today()), "machine": machine(), "code": code_version(),
        "load": [round(x, 2) for x in os.getloadavg()], **facts, "rows": rows})
