"""Where an image's processor time goes in the data-bound case, ours and lightly's, one stage at a time on one thread.

Runs in the peers' environment, which the script goes to by itself.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

COUNT = 512


def processor_ms(work, rounds: int = 5) -> float:
    """An image's milliseconds of processor time, the median of rounds after one to warm up."""
    work()
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append(1000 * (time.process_time() - began) / COUNT)
    return round(median(found), 4)


def stages(folder: str) -> list[dict]:
    """A row a stage."""
    import torch
    from contenders import lend_torchvision
    from loaders import HIDDEN, NETWORK, PROJECTION, SIDE, Peer
    from PIL import Image as Picture

    from unveil.data.opening import open_records
    from unveil.data.readers.pictures import decode
    from unveil.kinds.image import Image
    from unveil.training.memory import freed_memory_kept
    from unveil.training.step import TrainStep
    torch.set_num_threads(1)
    lend_torchvision()
    from lightly.transforms import SimCLRTransform
    kind, records = Image(size=SIDE), open_records(folder)[1]
    samples, at = kind.open(records), torch.arange(COUNT)
    batch = samples.batch(at)
    views = lambda: TrainStep(kind, 0, 0, 1).view(batch, 2, area=(0.08, 1.0), strength=2.0, symmetry=True)
    opened = [Picture.open(name).convert("RGB") for name in records.names]
    transform = SimCLRTransform(input_size=SIDE)
    parts = transform.transforms[0].transform.transforms
    peer = Peer("bf16")

    def step() -> None:
        for a, b in zip(*(view.values.split(256) for view in made), strict=True):
            with torch.autocast("cpu", torch.bfloat16):
                loss = peer(torch.cat([a, b])).square().mean()
            loss.backward()

    with freed_memory_kept():
        made = views()
        rows = [("ours", "decode near 128 px, resize to 64", lambda: [decode(name, SIDE) for name in records.names]),
                ("ours", "find decoded pictures again", lambda: samples.batch(at)), ("ours", "two views", views),
                ("both", f"network {NETWORK}, projector {HIDDEN}, {PROJECTION}, forward and backward, bf16", step),
                ("lightly", "decode", lambda: [Picture.open(io.BytesIO(Path(name).read_bytes())).convert("RGB") for name in records.names]),
                ("lightly", "two views", lambda: [transform(picture) for picture in opened])]
        found = [{"package": package, "stage": stage, "processor_ms_an_image": processor_ms(work)} for package, stage, work in rows]
    held = opened
    for part in parts:
        before = held
        each = processor_ms(lambda part=part, before=before: [part(picture) for picture in before])
        found.append({"package": "lightly", "stage": f"of a view: {type(part).__name__}", "processor_ms_an_image": each})
        held = [part(picture) for picture in before]
    return found


def main() -> None:
    """Prints and keeps the rows."""
    from peers import ROOT, python
    from photos import SAID, make
    from rows import write
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), COUNT)
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "HF_HUB_OFFLINE": "1"}
        command = [str(python()), str(ROOT / "benchmarks" / "stages.py"), folder]
        answer = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    rows = json.loads(answer.splitlines()[-1])
    for row in rows:
        print(row)
    write("stages", [{"files": f"{COUNT} {SAID}", "load": round(os.getloadavg()[0], 2)}, *rows])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(stages(sys.argv[1])))
    else:
        main()
