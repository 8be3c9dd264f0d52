"""Kills runs at random and resumes them, from one process that forks for each. Prints what came of it as JSON.

Half the kills come between steps, half in the middle of writing a checkpoint or the log, before or after what was written
is on the disk.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

import torch

from unveil.testing import Cell

STEPS, EVERY = 12, 2


def run(cell: Cell, folder: Path, kill_at: int | None = None, kill_write: int | None = None) -> None:
    """A run that kills itself after the step ``kill_at`` or at its ``kill_write``-th write; else writes its final bits."""
    from straight import bits, loop

    held, writes = loop(cell, folder, steps=STEPS, checkpoint_every=EVERY), 0

    def show(row):
        if row["step"] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(number, real=os.fsync):
        nonlocal writes
        writes += 1
        if writes != kill_write:
            return real(number)
        if kill_write % 2:
            os.ftruncate(number, os.fstat(number).st_size // 2)
        return os.kill(os.getpid(), signal.SIGKILL)

    held.show, os.fsync = show, fsync
    held.run()
    folder.with_suffix(".bits").write_text(bits(held))


def forked(work, *given) -> int:
    """``work(*given)`` in a child; what ended it."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        work(*given)
    except BaseException as why:
        print(why, file=sys.stderr)
        os._exit(1)
    os._exit(0)


def main(place: Path, kills: int) -> None:
    from straight import cell

    torch.set_num_threads(1)
    draw, made = random.Random(0), cell()
    made.samples()
    assert forked(run, made, place / "straight") == 0
    want, rows = place.joinpath("straight.bits").read_text(), []
    for number in range(kills):
        folder = place / f"run{number}"
        point = (draw.randint(1, STEPS), None) if number % 2 else (None, draw.randint(1, STEPS // EVERY * 2))
        ended = forked(run, made, folder, *point)
        found = sorted(path.name for path in folder.glob("step-*.safetensors"))
        again = forked(run, made, folder)
        same = again == 0 and folder.with_suffix(".bits").read_text() == want
        rows.append({"step": point[0], "write": point[1], "killed": ended == signal.SIGKILL, "found": found, "same": same,
                     "left": [path.name for path in folder.glob(".*")]})
    print(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
