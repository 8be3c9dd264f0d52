"""Processor seconds until kNN is right on a fixed share of Fashion-MNIST, beside the peers: SimCLR, one small convolutional network.

The share was chosen on another seed, with our own run alone. ``python benchmarks/accuracy.py [--seeds 3] [--target 0.82]``
"""

from __future__ import annotations

import argparse
from statistics import median

from peers import Process
from rows import write

WHO = ("ours", "lightly", "stable-pretraining")


def until(who: str, seed: int, target: float, most: int) -> dict:
    """What it took to get there; two looks in a row, so that a lucky one does not count."""
    process, before = Process("race.py", who=who, seed=seed), 0.0
    try:
        while (seen := process())["accuracy"] < target or before < target:
            before = seen["accuracy"]
            if seen["step"] >= most:
                return {"who": who, "seed": seed, "reached": False} | seen
        return {"who": who, "seed": seed, "reached": True} | seen
    finally:
        process.close()


def main() -> None:
    """Prints and keeps a row a contender and seed, and the ratios."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--target", type=float, default=0.82)
    words.add_argument("--most", type=int, default=1100)
    given = words.parse_args()
    rows, ratios = [], {who: [] for who in WHO[1:]}
    for seed in range(given.seeds):
        found = {who: until(who, seed, given.target, given.most) for who in WHO}
        rows += found.values()
        for who in WHO[1:]:
            ratios[who].append(round(found["ours"]["cpu"] / found[who]["cpu"], 3))
        print(*found.values(), {who: held[-1] for who, held in ratios.items()}, sep="\n", flush=True)
        write("accuracy", rows, target=given.target, ratios=ratios, median={who: median(held) for who, held in ratios.items()}, threads=1)


if __name__ == "__main__":
    main()
