"""Broken files by the thousand for every reader: what is refused, set aside or read, and what is not survived.

    python benchmarks/fuzz.py --count 1000 --seed 0 --readers pictures tables

A find is a crash, a hang, memory beyond the limit, or a sentence that a person cannot use; its case is kept below ``--finds``.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # the corpus lies with the tests, which read a part of it

from rows import write

from broken import READERS, corpus
from broken.watched import BYTES, SECONDS, Watched


def fuzz(reader: str, count: int, seed: int, finds: Path) -> dict:
    """A row of counts."""
    words, slowest, peak = Counter(), 0.0, 0
    with Watched() as watched:
        for case in corpus(reader, count, seed):
            outcome = watched.read(case)
            words[outcome.word] += 1
            slowest, peak = max(slowest, outcome.seconds), max(peak, outcome.peak)
            if outcome.find:
                print(f"{reader} {case.number} ({case.how}): {outcome.word}: {outcome.said}", flush=True)
                case.write(finds / f"{reader}-{seed}-{case.number}")
    counts = {name: words[word] for name, word in {"refused": "refused", "set_aside": "set aside", "read": "read", "crashes": "crash",
                                                   "slow": "slow", "over_memory": "memory", "unclear": "unclear"}.items()}
    return {"reader": reader, "seed": seed, "files": count, **counts, "slowest_s": round(slowest, 2), "peak_gib": round(peak / 2**30, 2),
            "limit_s": SECONDS, "limit_gib": BYTES / 2**30}


def main() -> None:
    """Prints and keeps a row a reader."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--count", type=int, default=1000)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--readers", nargs="+", default=READERS, choices=READERS)
    words.add_argument("--finds", type=Path, default=Path("runs/fuzz"))
    given = words.parse_args()
    rows = [fuzz(reader, given.count, given.seed, given.finds) for reader in given.readers]
    print(*rows, sep="\n")
    write("fuzz", rows)


if __name__ == "__main__":
    main()
