"""The data-bound case: SimCLR of a small convolutional network on two views at 64 px, from JPEG files, beside the peers' own loaders.

Rounds are interleaved: an epoch of each in turn, each in its own process, the others waiting. Processor time counts workers and threads.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from peers import Process
from photos import SAID, make
from rows import write

FILES, ROUNDS = 2816, 3
SIDES = {"ours": ("ours", "cached", "decoded once, kept at 64 px; crops cut from 64 px"),
         "ours, nothing kept": ("ours", "decoded", "decoded near 128 px in every epoch; crops cut from 64 px"),
         "ours, whole files": ("ours", "whole", "decoded once, kept at 256 px; crops cut from 256 px, not antialiased"),
         "lightly 1.6.0": ("lightly", "", "decoded whole in every epoch; crops cut from 256 px; jitter .8 .8 .8 .2, blur of half"),
         "stable-pretraining 0.1.8": ("stable-pretraining", "workers", "decoded whole in every epoch; crops cut from 256 px; no blur"),
         "stable-pretraining 0.1.8, batched": ("stable-pretraining", "batched", "decoded whole in every epoch; views in batches")}


def compared(folder: Path, precision: str) -> list[dict]:
    """A row a contender: its first epoch, the median of the later ones, and how ours compares with it, round by round."""
    # Peers' processors belong to their workers: with more than one thread of torch beside these each of their epochs took longer.
    started = {name: Process("loaders.py", os.cpu_count() if package == "ours" else 1, package=package, variant=variant,
                             folder=str(folder), precision=precision)
               for name, (package, variant, _) in SIDES.items()}
    first = {name: process(epoch=0) for name, process in started.items()}
    rounds, loads = [], []
    for number in range(ROUNDS):
        rounds.append({name: process(epoch=number + 1) for name, process in started.items()})
        loads.append(os.getloadavg()[0])
        print(number, {name: round(answer["processor"], 2) for name, answer in rounds[-1].items()}, flush=True)
    for process in started.values():
        process.close()
    images = FILES // 256 * 256
    rows = []
    for name, (_, _, does) in SIDES.items():
        each = {what: median(found[name][what] for found in rounds) for what in ("seconds", "processor", "waited")}
        ratios = {f"ours_is_faster_{what}": [round(found[name][what] / found["ours"][what], 2) for found in rounds]
                  for what in ("seconds", "processor")}
        rows.append({"contender": name, "does": does, "precision": precision, "images_per_second": round(images / each["seconds"], 1),
                     "processor_ms_an_image": round(1000 * each["processor"] / images, 3),
                     "waiting_share": round(each["waited"] / each["seconds"], 3),
                     "first_epoch": {what: round(value, 2) for what, value in first[name].items()},
                     "load": round(median(loads), 2), **{what: [median(held), held] for what, held in ratios.items()}})
        print(rows[-1], flush=True)
    return rows


def main(precisions: list[str]) -> None:
    """Prints and keeps the rows of each precision."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), FILES)
        rows = [row for precision in precisions for row in compared(Path(folder), precision)]
    write("data_bound", [{"files": f"{FILES} {SAID}", "network": "conv, 80,656 weights, and a projector of 16,512"}, *rows])


if __name__ == "__main__":
    main(sys.argv[1:] or ["bf16", "32"])
