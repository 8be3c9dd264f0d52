"""The cost model of ``unveil plan`` from 8 to 1,024 GPUs, and beside steps that are measured on this machine's CPU.

Writes the tables of ``docs/scale.md`` between their marks, and ``results/benchmarks/scale.json``.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from statistics import median

import torch
from rows import write

from unveil import api
from unveil.api.planning import Plan, over
from unveil.training import hardware, optimiser
from unveil.training.cost import blank
from unveil.training.step import TrainStep

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
GPUS = (8, 16, 32, 64, 128, 256, 512, 1024)
SMALL = {"kind.size": 64, "kind.channels": 3, "encoder.patch": 8, "encoder.width": 384, "encoder.depth": 6, "encoder.heads": 6,
         "train.batch": 64, "train.accumulate": 1}
MEASURED = {"mae": {}, "i-jepa": {"method.predictor_depth": 3}, "bootleg": {"method.predictor_depth": 3},
            "dino": {"method.local_views": 0, "method.prototypes": 4096}, "lejepa": {"method.local_views": 0},
            "simclr": {"encoder.name": "transformer"}}


def scaled(method: str, growing: bool, **settings) -> list[dict]:
    """A row a number of GPUs; ``growing`` keeps the batch a GPU, else the batch of all."""
    rows, first = [], None
    for gpus in GPUS:
        batch = {"train.batch": 256 * gpus} if growing else {}
        ddp = api.plan(method, kind="image", hardware="h100", gpus=gpus, settings=settings | batch)
        fsdp = over(ddp, gpus, "fsdp")
        first = first or ddp
        rows.append({"method": method, "gpus": gpus, "batch a gpu": ddp.settings.batch // gpus, "compute": ddp.time.compute}
                    | _way("ddp", ddp, first, growing) | _way("fsdp", fsdp, first, growing))
    return rows


def _way(name: str, plan: Plan, first: Plan, growing: bool) -> dict:
    """Time, memory and efficiency: what the same devices would do if all were as quick as in the first row."""
    ideal = first.time.step if growing else first.time.step * first.settings.processes / plan.settings.processes
    return {f"{name} sent GB": plan.time.sent / 1e9, f"{name} network": plan.time.network, f"{name} step": plan.time.step,
            f"{name} efficiency": ideal / plan.time.step, f"{name} memory GB": plan.memory.total / 1e9, f"{name} hours": plan.hours}


def measured(steps: int = 7) -> list[dict]:
    """Of each method a step on this CPU in float32, beside its plan: the share of the peak that the first reaches foretells the others."""
    on, share, rows = _float32(hardware.here()), None, []
    for method, more in MEASURED.items():
        given = SMALL | more | {"train.precision": "32"}
        plan = api.plan(method, kind="image", scale="published", hardware=on, settings=given)
        seconds = _measure(plan, steps)
        reached = plan.cost.flops / seconds / (1e12 * on.tflops)
        share = share or reached
        foretold = plan.cost.flops / (1e12 * on.tflops * share) + plan.time.update
        rows.append({"method": method, "gflop": plan.cost.flops / 1e9, "peak gflops": 1e3 * on.tflops, "measured s": seconds,
                     "share of the peak": reached, "foretold s": foretold, "off": foretold / seconds - 1})
        print(rows[-1])
    return rows


def _float32(on: hardware.Hardware) -> hardware.Hardware:
    a, b = torch.randn(2, 1024, 1024)
    peak = 2 * 1024**3 / hardware.quickest(lambda: a @ b) / 1e12
    return hardware.Hardware(on.name, peak, on.memory, on.bandwidth, 0, 0, 1, "measured now, float32", mixed=False)


def _measure(plan: Plan, steps: int) -> float:
    """The median of whole steps, on pictures of noise."""
    recipe, settings = plan.recipe, plan.settings
    method = recipe.build_method(recipe.build_encoder(plan.spec)).train()
    update = optimiser.build(method, settings, torch.device("cpu"))
    batch = blank(plan.spec, settings.batch).map(lambda x: torch.zeros(x.shape, dtype=x.dtype))
    batch.values.uniform_()
    batch.keys[:] = torch.arange(settings.batch)
    batch.box[:, 1] = float(plan.spec.shape[0])
    times = []
    for index in range(steps):
        began, step = time.perf_counter(), TrainStep(recipe.build_kind(), 0, index, steps)
        method(batch, step).loss.backward()
        update.step()
        update.zero_grad()
        method.after_step(step)
        times.append(time.perf_counter() - began)
    return median(times[1:])


def table(rows: list[dict], columns: dict[str, str]) -> str:
    """Markdown."""
    cells = [[format(row[name], form) for name, form in columns.items()] for row in rows]
    lines = [list(columns), ["---:" if form[-1:] in "fd%" else "---" for form in columns.values()], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fill(text: str, name: str, held: str) -> str:
    """The page with ``held`` between the marks of ``name``."""
    return re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda found: found[1] + held + "\n" + found[2], text, flags=re.S)


def main() -> None:
    """Makes all tables."""
    here = measured()
    fixed = scaled("i-jepa", growing=False, **{"train.accumulate": 1})
    growing = scaled("lejepa", growing=True)
    way = lambda name: {f"{name} sent GB": ".2f", f"{name} network": ".4f", f"{name} step": ".4f", f"{name} efficiency": ".0%",
                        f"{name} memory GB": ".1f"}
    columns = {"gpus": ",d", "batch a gpu": "d", "compute": ".4f"} | way("ddp") | way("fsdp")
    page = PAGE.read_text()
    for name, rows in (("i-jepa", fixed), ("lejepa", growing)):
        page = fill(page, name, table(rows, columns))
    page = fill(page, "measured", table(here, {"method": "", "gflop": ".0f", "peak gflops": ".0f", "measured s": ".3f",
                                               "share of the peak": ".0%", "foretold s": ".3f", "off": "+.0%"}))
    PAGE.write_text(page)
    write("scale", [*here, *fixed, *growing])


if __name__ == "__main__":
    main()
