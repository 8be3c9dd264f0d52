"""Cost of a training step beside the peers, round after round in turn; share of the matmul peak; peak memory.

``python benchmarks/step_cost.py [--rounds 30] [--methods mae i-jepa simclr lejepa] [--precisions 32 bf16] [--threads 1]``
"""

from __future__ import annotations

import argparse
import random

import torch
from peers import Process
from rows import interval, processor_ms, write

WHO = ("ours", "lightly", "stable-pretraining", "plain")
NETWORK = dict(side=32, patch=4, batch=16)
WARM = 5


def peak_gflops(precision: str, size: int = 1024) -> float:
    """Best rate of a matrix product here, on one thread."""
    torch.set_num_threads(1)
    kind = torch.float32 if precision == "32" else torch.bfloat16
    a, b = torch.randn(size, size, dtype=kind), torch.randn(size, size, dtype=kind)
    return 2 * size**3 / min(processor_ms(lambda: a @ b) for _ in range(3)) / 1e6


def measure(method: str, precision: str, rounds: int, threads: int) -> list[dict]:
    """A row a contender."""
    alive = {who: Process("contenders.py", threads, who=who, method=method, precision=precision, **NETWORK) for who in WHO}
    counted = {who: process(count=True) for who, process in alive.items()}
    for process in alive.values():
        for _ in range(WARM):
            process()
    steps: dict[str, list[dict]] = {who: [] for who in WHO}
    for turn in range(rounds):
        order = random.Random(turn).sample(WHO, len(WHO))
        for who in order:
            steps[who].append(alive[who]())
    for process in alive.values():
        process.close()
    peak, rows = peak_gflops(precision), []
    for who in WHO:
        cpu, wall = ([step[name] for step in steps[who]] for name in ("cpu", "wall"))
        row = {"method": method, "precision": precision, "threads": threads, "who": who, "rounds": rounds, "flops": counted[who]["flops"],
               "cpu_ms": interval([1000 * x for x in cpu]), "wall_ms": interval([1000 * x for x in wall]),
               "peak_mib": round(max(step["peak"] for step in steps[who]) / 2**20, 1),
               "parts_mib": round(counted[who]["parts"] / 2**20, 1),
               "share_of_peak": round(counted[who]["flops"] / interval(cpu)[0] / 1e9 / peak / threads, 3), "peak_gflops": round(peak, 1)}
        if who != "ours":
            row["cpu_ratio"] = interval([a["cpu"] / b["cpu"] for a, b in zip(steps["ours"], steps[who], strict=True)])
            row["wall_ratio"] = interval([a["wall"] / b["wall"] for a, b in zip(steps["ours"], steps[who], strict=True)])
        rows.append(row)
        print({name: [round(x, 3) for x in value] if isinstance(value, tuple) else value for name, value in row.items()}, flush=True)
    return rows


def main() -> None:
    """Measures and keeps a row a method, precision and contender."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=30)
    words.add_argument("--threads", type=int, default=1)
    words.add_argument("--methods", nargs="+", default=["mae", "i-jepa", "simclr", "lejepa"])
    words.add_argument("--precisions", nargs="+", default=["32", "bf16"])
    given = words.parse_args()
    rows = []
    for method in given.methods:
        for precision in given.precisions:
            rows += measure(method, precision, given.rounds, given.threads)
            write("step_cost", rows, network="ViT-Tiny (width 192, depth 12, heads 3), 32 px, patch 4, batch 16, no class token")


if __name__ == "__main__":
    main()
