"""Images a second of :func:`unveil.embed`, from JPEG files and from an array, for a small network and for ViT-Tiny/16."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from photos import SAID, make
from rows import write

import unveil
from unveil.data.opening import open_records
from unveil.kinds.image import Image
from unveil.recipes.recipe import build_encoder

ROUNDS = 3
CASES = [("conv, 80,656 weights, 64 px", 64, 2816, dict(name="conv", width=64, stages=3, stride=4)),
         ("ViT-Tiny/16, 224 px", 224, 256, dict(name="transformer", patch=16, width=192, depth=12, heads=3))]


def main() -> None:
    """Prints and keeps a row a network and source."""
    rows = [{"files": SAID, "threads": torch.get_num_threads()}]
    with tempfile.TemporaryDirectory() as home:
        for name, side, count, settings in CASES:
            folder = str(make(Path(home) / name.replace("/", "-"), count))
            kind = Image(size=side, channels=3)
            samples = kind.open(open_records(folder)[1])
            encoder = build_encoder(settings, samples.spec(), 0).eval()
            encoder.kind = kind
            values = samples.fetch(torch.arange(count))[0]
            array = np.ascontiguousarray((values * 255).round().byte().permute(0, 2, 3, 1).numpy())
            for source, data in (("files", folder), ("array", array)):
                found = []
                for _ in range(ROUNDS):
                    before = time.perf_counter(), time.process_time()
                    unveil.embed(encoder, data)
                    found.append((time.perf_counter() - before[0], time.process_time() - before[1]))
                wall, processor = (median(column) for column in zip(*found, strict=True))
                rows.append({"encoder": name, "from": source, "images": count, "images_per_second": round(count / wall, 1),
                             "processor_ms_an_image": round(1000 * processor / count, 3), "load": round(os.getloadavg()[0], 2)})
                print(rows[-1], flush=True)
    write("embedding", rows)


if __name__ == "__main__":
    main()
