"""Time from a folder of a million pictures to the first batch and the first update, and memory, in a fresh process.

The files are hard links to 32 real ones, in nested folders; they are removed at the end. Names are in the system's cache, as they have
just been made.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLASSES, FOLDERS, EACH, ORIGINALS = 100, 100, 100, 32


def links(folder: Path) -> None:
    """A hundred classes of a hundred folders of a hundred files."""
    from photos import make
    originals = sorted(map(str, make(folder / ".originals", ORIGINALS).rglob("*.jpg")))
    for number in range(CLASSES * FOLDERS):
        home = folder / f"class {number // FOLDERS:02d}" / f"{number % FOLDERS:02d}"
        home.mkdir(parents=True)
        for file in range(EACH):
            os.link(originals[(number * EACH + file) % ORIGINALS], f"{home}/{file:05d}.jpg")


class Enough(Exception):
    """The first update is made."""


def timed(folder: str, labels: str) -> dict[str, float]:
    """Seconds from the call of :func:`unveil.pretrain` in this process, which has done nothing else, and memory."""
    began = time.perf_counter()
    import unveil.api
    from unveil.data.feed import Feed
    from unveil.data.options import Options
    from unveil.training.loop import Loop
    imported, found = time.perf_counter(), {}
    read, update = Feed.__call__, Loop._update

    def first_batch(self, step):
        batch = read(self, step)
        found.setdefault("first batch", time.perf_counter() - imported)
        return batch

    def first_update(self, index):
        update(self, index)
        found["first update"] = time.perf_counter() - imported
        raise Enough

    Feed.__call__, Loop._update = first_batch, first_update
    try:
        with tempfile.TemporaryDirectory() as out:
            unveil.api.pretrain(folder, out=out, options=Options(labels=labels or None))
    except Enough:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return {"import": round(imported - began, 2)} | {name: round(seconds, 2) for name, seconds in found.items()} | {
            "processor": round(time.process_time(), 2), "peak_gib": round(peak, 2)}


def main(rounds: int = 3) -> None:
    """Prints and keeps a row a round, with and without labels. What it needs of ours is imported here: the timed process starts bare."""
    from photos import SAID
    from rows import write
    folder, found = Path(tempfile.mkdtemp(prefix="unveil-million-")), []
    try:
        links(folder)
        for _ in range(rounds):
            for labels in ("", "folders"):
                command = [sys.executable, __file__, str(folder), labels]
                answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found.append({"files": CLASSES * FOLDERS * EACH, "labels": labels or "none", "load": round(os.getloadavg()[0], 2)}
                             | json.loads(answer.splitlines()[-1]))
                print(found[-1], flush=True)
    finally:
        shutil.rmtree(folder)
    write("million", [{"data": f"hard links to {ORIGINALS} files: {SAID}"}, *found])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(timed(*sys.argv[1:])))
    else:
        main()
