"""How far two processes are from one: of every method the worst relative difference of a gradient, and of loss and state, in float64."""

from __future__ import annotations

import sys
from pathlib import Path

from rows import write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parallel"))

from pair import Pair, distances, work
from test_pair import FAULTY, JOBS


def main() -> None:
    """Prints and keeps a row a method, the worst of its jobs, and a row a planted fault, the least that it is seen by."""
    pair, worst, seen = Pair(), {}, {}
    for job in [*JOBS, *FAULTY]:
        one = work(job)
        far = [(name.startswith("gradient"), name, x) for answer in pair(job) for name, x in distances(answer, one).items()]
        gradient = max(x for is_gradient, _, x in far if is_gradient)
        if job.fault:
            seen[job.fault] = min(seen.get(job.fault, gradient), gradient)
            continue
        rest = max(x for is_gradient, _, x in far if not is_gradient)
        held = worst.get(job.method, (0.0, 0.0))
        worst[job.method] = max(held[0], gradient), max(held[1], rest)
    pair.close()
    rows = [{"method": method, "gradient": gradient, "loss and state": rest} for method, (gradient, rest) in worst.items()]
    rows += [{"fault": fault, "least gradient": least} for fault, least in seen.items()]
    print(*rows, sep="\n")
    write("processes", rows)


if __name__ == "__main__":
    main()
