"""Kills runs of every method at random points, resumes each in a fresh process, and compares every bit with a run left alone.

A third of the kills come between two steps; a third inside a write of a checkpoint or the log, when half of it, all of it, or its new
name is on the disk; a third at whatever the process is doing, after a random time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rows import write

from unveil.recipes.check import TABLES, find
from unveil.recipes.fit import ways
from unveil.testing import Cell, bits
from unveil.training import log
from unveil.training.lock import NAME, alone

STEPS, EVERY = 12, 2
SYNCS = 2 * (1 + 2 * STEPS // EVERY + 1)  # of file and folder each: the log at the start, a checkpoint and its hash, the table
WHERE = ("step", "write", "anywhere")
TIMES = ("seconds", "cpu_seconds", "waited", "samples_per_second")


@dataclass(frozen=True)
class Point:
    """Where a run is killed.

    Attributes:
        where: of :data:`WHERE`.
        at: step, number of the write, or share of a run's time.
        half: of what is being written is on the disk.
    """

    where: str
    at: float
    half: bool = False


def cells(methods: list[str]) -> dict[str, Cell]:
    """Every tiny cell of the methods by name: kinds and encoders as they go together."""
    return {f"{method} {encoder} {kind}": Cell(find("method", method), find("kind", kind)(**(find("kind", kind).tiny | settings)),
                                              find("encoder", encoder))
            for method in methods for kind in TABLES["kind"] for encoder, settings in ways(kind, method) if encoder != "pretrained"}


def run(cell: Cell, folder: Path, point: Point | None = None, ready: Callable[[], None] = lambda: None) -> None:
    """A run that kills itself at ``point``; else it leaves what came of it beside its folder."""
    loop, syncs = cell.loop(folder / "checkpoints", steps=STEPS, checkpoint_every=EVERY), 0

    def show(row: dict) -> None:
        if point and point.where == "step" and row["step"] == point.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(number: int, real=os.fsync) -> None:
        nonlocal syncs
        syncs += 1
        killed = point and point.where == "write" and syncs == point.at
        if killed and point.half and stat.S_ISREG(os.fstat(number).st_mode):
            os.ftruncate(number, os.fstat(number).st_size // 2)
        real(number)
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)

    loop.show, os.fsync = show, fsync
    ready()
    began = time.perf_counter()
    with alone(folder):
        loop.run()
    took = time.perf_counter() - began
    rows = [{name: value for name, value in row.items() if name not in TIMES} for row in log.read(folder / "metrics.jsonl")]
    outcome(folder).write_text(json.dumps({"bits": bits(loop), "rows": rows, "seconds": took, "syncs": syncs}))


def outcome(folder: Path) -> Path:
    """What a run that came to its end left."""
    return folder.with_suffix(".json")


def forked(cell: Cell, folder: Path, point: Point | None = None, after: float | None = None) -> int:
    """A run in a child, killed ``after`` seconds from outside where that is given; what ended it."""
    started, begun = os.pipe()
    child = os.fork()
    if not child:
        try:
            run(cell, folder, point, lambda: os.write(begun, b"."))
            os._exit(0)
        except BaseException as why:
            print(repr(why), file=sys.stderr)
            os._exit(1)
    os.close(begun)
    if os.read(started, 1) and after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    os.close(started)
    return os.waitpid(child, 0)[1]


def killed(cell: Cell, folder: Path, where: str, seconds: float, draw: random.Random) -> Point:
    """Kills a run; one that was over before its time had come does not count and is begun anew."""
    while True:
        point = Point("step", draw.randint(1, STEPS)) if where == "step" else \
            Point("write", draw.randint(1, SYNCS), draw.random() < 0.5) if where == "write" else Point("anywhere", draw.random())
        after = seconds * point.at if where == "anywhere" else None
        if forked(cell, folder, point, after) == signal.SIGKILL and not outcome(folder).exists():
            return point
        if where != "anywhere":
            raise AssertionError(f"{folder}: a run was not killed at {point}")
        subprocess.run(["rm", "-r", folder, outcome(folder)], check=True)


def kill_all(methods: list[str], kills: int, seed: int, place: Path) -> list[dict]:
    """A record a kill, of the methods in turn."""
    draw, made, straight, records = random.Random(seed), cells(methods), {}, []
    for number in range(kills):
        name = draw.choice([name for name in made if name.split()[0] == methods[number % len(methods)]])
        cell, alike = made[name], place / name.replace(" ", "-")
        if name not in straight:
            cell.samples()
            assert forked(cell, alike) == 0, name
            straight[name] = json.loads(outcome(alike).read_text())
            assert straight[name].pop("syncs") == SYNCS
        folder, want = place / f"kill{number}", straight[name]
        point = killed(cell, folder, WHERE[number % len(WHERE)], want["seconds"], draw)
        found = len(list(folder.glob("checkpoints/step-*.safetensors")))
        again = subprocess.run([sys.executable, __file__, "--resume", name, str(folder)], capture_output=True, text=True)
        got = json.loads(outcome(folder).read_text()) if again.returncode == 0 else {"bits": again.stderr[-500:], "rows": []}
        left = [path.name for pattern in (".*", NAME) for path in folder.rglob(pattern)]
        records.append({"cell": name, **asdict(point), "checkpoints": found, "bits": got["bits"] == want["bits"],
                        "rows": got["rows"] == want["rows"], "left": left, "got": got["bits"]})
    return records


def summed(records: list[dict], methods: list[str], seed: int) -> list[dict]:
    """A row a method."""
    rows = []
    for method in methods:
        mine = [record for record in records if record["cell"].split()[0] == method]
        rows.append({"method": method, "kills": len(mine), "exact": sum(record["bits"] and record["rows"] for record in mine)}
                    | {where: sum(record["where"] == where for record in mine) for where in WHERE}
                    | {"with a checkpoint": sum(record["checkpoints"] > 0 for record in mine),
                       "cells": sorted({record["cell"].partition(" ")[2] for record in mine}),
                       "seed": seed, "steps": STEPS, "batch": 8, "threads": torch.get_num_threads()})
    return rows


def main() -> int:
    """Prints a row a method and keeps them; 1 where a run did not end in the same bits."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kills", type=int, default=100)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--methods", default=",".join(TABLES["method"]))
    asked.add_argument("--records", action="store_true", help="print every kill as JSON, and keep nothing")
    asked.add_argument("--resume", nargs=2, metavar=("CELL", "FOLDER"), help=argparse.SUPPRESS)
    given = asked.parse_args()
    torch.set_num_threads(1)
    if given.resume:
        name, folder = given.resume
        run(cells([name.split()[0]])[name], Path(folder))
        return 0
    methods = given.methods.split(",")
    with tempfile.TemporaryDirectory() as place:
        records = kill_all(methods, given.kills, given.seed, Path(place))
    if given.records:
        print(json.dumps(records))
        return 0
    rows = summed(records, methods, given.seed)
    print(*rows, *(record for record in records if not (record["bits"] and record["rows"])), sep="\n")
    write("kills", rows)
    return int(any(row["exact"] < row["kills"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
