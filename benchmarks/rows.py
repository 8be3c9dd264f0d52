"""Timing, and rows with date and machine."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

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


def write(name: str, rows: list[dict]) -> None:
    """Keeps rows as ``results/benchmarks/NAME.json``."""
    write_json(Path("results") / "benchmarks" / f"{name}.json", {
        "date": str(datetime.date.today()), "machine": machine(), "code": code_version(), "rows": rows})
