"""From JPEG files to updated weights beside our own throughput on tensors in memory: ViT-Tiny/16 at 224 px, MAE and I-JEPA.

Files and memory take turns, an epoch each, in one process; the first epoch from files, which has nothing decoded yet, is a row of its own.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from photos import SAID, make
from rows import write

from unveil.data.opening import open_records
from unveil.data.samples import Samples, in_memory
from unveil.health.monitor import Monitor
from unveil.kinds.image import Image
from unveil.recipes import recipe as recipes
from unveil.training.loop import Loop

FILES, BATCH, ROUNDS = 192, 64, 5
TINY = dict(name="transformer", patch=16, width=192, depth=12, heads=3)


class Timed(Loop):
    """Keeps wall and processor seconds and the wait for data of every update."""

    def _update(self, index: int):
        before = time.perf_counter(), time.process_time(), self.feed.waited
        answer = super()._update(index)
        after = time.perf_counter(), time.process_time(), self.feed.waited
        self.spent.append([b - a for a, b in zip(before, after, strict=True)])
        return answer


def measured(method: str, samples: Samples, epochs: int) -> tuple[list[float], float]:
    """Wall, processor and waiting seconds of a run of ``epochs``."""
    given = {"encoder": TINY, "train": dict(batch=BATCH, steps=epochs * len(samples) // BATCH, stop_unhealthy=False)}
    recipe = recipes.resolve(method, "image", scale="small", given=given)
    loop = Timed(recipe.build_method(recipe.build_encoder(samples.spec())), Image(size=224, channels=3), samples, recipe.training(),
                 monitor=Monitor(1000))
    loop.spent = []
    loop.run()
    return [sum(column) for column in zip(*loop.spent, strict=True)]


def files(folder: str) -> Samples:
    """Opened anew, nothing decoded."""
    samples = Image(size=224, channels=3).open(open_records(folder)[1])
    samples.spec()
    samples.fetch.cache.clear()
    return samples


def main() -> None:
    """Prints and keeps a row a method and way of reading."""
    rows = [{"files": f"{FILES} {SAID}", "encoder": "ViT-Tiny/16, 224 px", "batch": BATCH, "threads": torch.get_num_threads()}]
    with tempfile.TemporaryDirectory() as home:
        folder = str(make(Path(home), FILES))
        held = files(folder).fetch(torch.arange(FILES))[0]
        memory = Samples(in_memory((held * 255).to(torch.uint8), 1 / 255), FILES, shape=(224, 224), channels=3, axes=("y", "x"),
                         spacing=(1.0, 1.0), unit="px")
        for method in ("mae", "i-jepa"):
            found: dict[str, list[list[float]]] = {"memory": [], "files, first epoch": [], "files, later epochs": []}
            measured(method, memory, 1)
            for _ in range(ROUNDS):
                samples = files(folder)
                for way, data in (("files, first epoch", samples), ("memory", memory), ("files, later epochs", samples)):
                    found[way].append(measured(method, data, 1))
            for way, rounds in found.items():
                wall, processor, waited = (median(column) for column in zip(*rounds, strict=True))
                ratios = sorted(m[0] / f[0] for m, f in zip(found["memory"], rounds, strict=True))
                work = sorted(m[1] / f[1] for m, f in zip(found["memory"], rounds, strict=True))
                rows.append({"method": method, "from": way, "images_per_second": round(FILES / wall, 2),
                             "share_of_memory": round(median(ratios), 3), "share_of_memory_processor": round(median(work), 3),
                             "each": [round(x, 3) for x in ratios], "waiting_share": round(waited / wall, 4),
                             "processor_seconds": round(processor, 2), "load": round(os.getloadavg()[0], 2)})
                print(rows[-1], flush=True)
    rows.append({"processor_seconds_of_everything": round(time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]), 1)})
    write("end_to_end", rows)


if __name__ == "__main__":
    main()
