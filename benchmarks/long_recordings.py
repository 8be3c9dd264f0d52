"""Hours of EEG as EDF files: memory while they are opened and read, and windows a second beside the same windows from an array in memory.

    python benchmarks/long_recordings.py --hours 4 --files 3

Every side is a process of its own: one makes the processed files of the cache, one finds them made, one holds all of it in memory as we do,
one as an array, from which windows are picked by their numbers as from any array. Memory is the highest of the process less what it held
before it opened the data; pages that the system keeps of files are not in it. Windows are fetched in batches in random order; rounds are
interleaved.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the writer of EDF files lies with the tests

from rows import write

from unveil.data.montages import TEN_TWENTY

NAMES = list(TEN_TWENTY)
RATE, WINDOW, BATCH, ROUNDS, SECONDS = 256, 512, 64, 5, 3.0


def make(folder: Path, files: int, hours: float) -> int:
    """Writes files, some minutes at a time; bytes of their values as float32."""
    from recorded import edf
    rng = np.random.default_rng(0)
    for number in range(files):
        minutes = round(hours * 60)
        chunk = min(10, minutes)
        noise = rng.normal(0, 30, (len(NAMES), chunk * 60 * RATE))
        content = edf(noise, NAMES, [RATE] * len(NAMES), person=f"P{number} X X X")
        start = 256 * (len(NAMES) + 1)
        records = minutes // chunk * chunk * 60
        with open(folder / f"{number}.edf", "wb") as stream:
            stream.write(content[:236] + str(records).ljust(8).encode() + content[244:start])
            for _ in range(minutes // chunk):
                stream.write(content[start:])
    return files * records * RATE * len(NAMES) * 4


def anonymous() -> int:
    """Bytes of this process that are no pages of files."""
    return next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))


def serve(folder: str, way: str) -> None:
    """One side: opens, then answers each line by a round of windows."""
    import threading

    import torch

    from unveil.data import stored
    from unveil.data.opening import open_records
    from unveil.kinds.signal import Signal
    torch.set_num_threads(1)
    stored.SHARE = 0.25 if way == "memory" else 0.0
    before, peak, ended = anonymous(), [0], threading.Event()

    def watch():
        while not ended.wait(0.02):
            peak[0] = max(peak[0], anonymous())
    threading.Thread(target=watch, daemon=True).start()
    began = time.perf_counter()
    samples = Signal(window=WINDOW, stride=WINDOW, band=(0.5, 40.0), notch=50.0, rate=None, scale="robust").open(open_records(folder)[1])
    if way == "array":
        held = np.stack([np.ascontiguousarray(cut.room.read(0, cut.count).T) for cut in samples.fetch.cuts])
        flat = torch.from_numpy(held.transpose(1, 0, 2).reshape(len(NAMES), -1))
        length, windows = held.shape[2], held.shape[2] // WINDOW
        del held
        span = torch.arange(WINDOW)
        fetch = lambda ids: flat[:, (ids // windows * length + ids % windows * WINDOW)[:, None] + span].transpose(0, 1).contiguous()
    else:
        fetch = lambda ids: samples.batch(ids).values
    opened = time.perf_counter() - began
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))
    answer = {"opened_s": round(opened, 2), "opening_mib": round((peak[0] - before) / 2**20, 1), "windows": len(samples)}
    print(json.dumps(answer), flush=True)
    at = 0
    for _ in sys.stdin:
        peak[0], count, began = 0, 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            ids = order[torch.arange(at, at + BATCH) % len(order)]
            fetch(ids)
            count, at = count + BATCH, at + BATCH
        taken = time.perf_counter() - began
        time.sleep(0.05)
        print(json.dumps({"windows_a_second": count / taken, "reading_mib": round((peak[0] - before) / 2**20, 1)}), flush=True)
    ended.set()


class Side:
    """A process that answers."""

    def __init__(self, folder: Path, way: str):
        words = [sys.executable, __file__, "--serve", way, "--folder", str(folder)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = json.loads(self.process.stdout.readline())

    def round(self) -> dict:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def compared(folder: Path, size: int) -> list[dict]:
    """A row a side."""
    made = Side(folder, "file, made now")
    made.close()
    sides = {way: Side(folder, way) for way in ("file", "memory", "array")}
    rounds = [{way: side.round() for way, side in sides.items()} for _ in range(ROUNDS)]
    for side in sides.values():
        side.close()
    base, held = ([each[way]["windows_a_second"] for each in rounds] for way in ("array", "memory"))
    rows = [{"side": "file, made now", **made.first, "opening_share_of_data": round(made.first["opening_mib"] * 2**20 / size, 3)}]
    for way, side in sides.items():
        speed = [each[way]["windows_a_second"] for each in rounds]
        most = max(each[way]["reading_mib"] for each in rounds)
        rows.append({"side": way, **side.first, "opening_share_of_data": round(side.first["opening_mib"] * 2**20 / size, 3),
                     "reading_mib": most, "reading_share_of_data": round(most * 2**20 / size, 3), "windows_a_second": round(median(speed)),
                     "over_array": [round(a / b, 2) for a, b in zip(speed, base)],
                     "over_array_median": round(median(a / b for a, b in zip(speed, base)), 2),
                     "over_memory_median": round(median(a / b for a, b in zip(speed, held)), 2)})
    return rows


def main() -> None:
    """Prints and keeps a row a side."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--hours", type=float, nargs="+", default=[1.0, 4.0])
    words.add_argument("--files", type=int, default=3)
    words.add_argument("--serve")
    words.add_argument("--folder")
    given = words.parse_args()
    if given.serve:
        serve(given.folder, given.serve)
        return
    rows = []
    for hours in given.hours:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["UNVEIL_CACHE"] = f"{folder}/cache"
            (data := Path(folder) / "data").mkdir()
            size = make(data, given.files, hours)
            for row in compared(data, size):
                rows.append({"hours": hours, "files": given.files, "data_mib": round(size / 2**20), **row})
                print(rows[-1], flush=True)
    write("long_recordings", rows, channels=len(NAMES), rate=RATE, window=WINDOW, batch=BATCH,
          processing="0.5-40 Hz, notch 50 Hz, robust scale")


if __name__ == "__main__":
    main()
