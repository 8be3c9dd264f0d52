"""Share of the peak (MFU) of I-JEPA and LeJEPA with ViT-B and ViT-L at 224 px on a GPU, eager and compiled, and whether bf16 and compiled
losses are those of float32 on the CPU.

``python benchmarks/gpu.py --hardware h100``; ``--smoke`` makes tiny steps on whatever is there and keeps nothing.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch
from rows import write

from unveil.data.samples import Samples, in_memory
from unveil.kinds.image import Image
from unveil.recipes import recipe as recipes
from unveil.training import hardware
from unveil.training.cost import count
from unveil.training.loop import Loop

NETWORKS = {"ViT-B/16": dict(patch=16, width=768, depth=12, heads=12), "ViT-L/16": dict(patch=16, width=1024, depth=24, heads=16)}
TINY = {"tiny": dict(patch=16, width=32, depth=2, heads=2)}
VIEWS = {"i-jepa": {}, "lejepa": dict(local_views=0)}


class Timed(Loop):
    """Keeps the seconds of each step, with all that the device had to do for it, and each loss."""

    def _update(self, index: int):
        began = time.perf_counter()
        output, rates = super()._update(index)
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - began)
        self.losses.append(float(output.loss.detach()))
        return output, rates


def run(method: str, network: dict, batch: int, steps: int, precision: str, compiled: str,
        side: int) -> tuple[Timed, recipes.Recipe, Samples]:
    """Some steps on random pictures; by plain gradient steps, so that losses can be compared."""
    given = {"encoder": dict(name="transformer", **network), "method": VIEWS[method],
             "train": dict(batch=batch, steps=steps, precision=precision, compile=compiled, optimiser="sgd", lr=1e-3)}
    recipe = recipes.resolve(method, "image", scale="published", given=given)
    pictures = torch.rand(2 * batch, 3, side, side, generator=torch.Generator().manual_seed(0))
    samples = Samples(in_memory(pictures), len(pictures), shape=(side, side), channels=3, axes=("y", "x"), spacing=(1.0, 1.0), unit="px")
    loop = Timed(recipe.build_method(recipe.build_encoder(samples.spec())), Image(size=side, channels=3), samples, recipe.training())
    loop.seconds, loop.losses = [], []
    loop.run()
    return loop, recipe, samples


def main() -> None:
    """Prints and keeps a row a method, network and way."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--hardware", default="h100", choices=list(hardware.TABLE))
    words.add_argument("--batch", type=int, default=128)
    words.add_argument("--steps", type=int, default=30)
    words.add_argument("--smoke", action="store_true")
    given = words.parse_args()
    if not (given.smoke or torch.cuda.is_available()):
        raise SystemExit("no GPU is at hand: --smoke tries the script on the CPU")
    networks, batch, steps = (TINY, 4, 3) if given.smoke else (NETWORKS, given.batch, given.steps)
    rows = []
    for method in VIEWS:
        for name, network in networks.items():
            for compiled in ("no", "yes"):
                loop, recipe, samples = run(method, network, batch, steps, "bf16", compiled, 224)
                spec = samples.spec()
                with torch.device("meta"):
                    blueprint = recipe.build_method(recipe.build_encoder(spec))
                flops = count(blueprint.to("meta"), Image(size=224, channels=3), spec, recipe.training(), mixed=True).flops
                each = median(loop.seconds[len(loop.seconds) // 3:])
                rows.append({"method": method, "network": name, "compiled": compiled, "batch": batch, "seconds": each,
                             "tflop": flops / 1e12, "images_per_second": batch / each,
                             "mfu": flops / each / hardware.TABLE[given.hardware].tflops / 1e12,
                             "losses": loop.losses[:3]})
                print(rows[-1], flush=True)
    for method in VIEWS:
        ways = {f"{precision}, compile {compiled}": run(method, TINY["tiny"], 8, 3, precision, compiled, 224)[0].losses
                for precision, compiled in (("32", "no"), ("bf16", "no"), ("bf16", "yes"))}
        rows.append({"method": method, "losses by way": ways})
        print(rows[-1], flush=True)
    if not given.smoke:
        write("gpu", rows, hardware=given.hardware, steps=given.steps)


if __name__ == "__main__":
    main()
