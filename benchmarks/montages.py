"""What Laya learns of planted recordings: where all montages have the same electrodes, and where which montage it is can be learned
instead; with the gradient of the target ending before the projector or after it.


``python benchmarks/montages.py``: a minute a row.
"""

from __future__ import annotations

from rows import write

from unveil.kinds.signal import Signal, planted
from unveil.recipes.check import find
from unveil.testing import Cell, learn
from unveil.testing.cell import planted as kept

SETS = {"the same electrodes": planted.MONTAGES,
        "electrodes of its own in each": ((0, 1, 2, 3, 4, 5), (4, 2, 0, 3, -1, -1), (5, 1, 3, 0, 2, -1))}


def main() -> None:
    """Prints and keeps a row a set and way."""
    rows = []
    for montages, which in SETS.items():
        planted.MONTAGES = which
        kept.cache_clear()
        for name, settings in {"laya": {}, "laya, as published": dict(stop="before projector"), "values": dict(target="signal")}.items():
            cell = Cell(find("method", "laya"), Signal(window=64, montage="mixed"), find("encoder", "montage"), settings=settings)
            learned = learn(cell)
            rows.append({"montages": montages, "arm": name, "untaught": learned.untaught, "taught": learned.taught, "gain": learned.gain,
                         "error": learned.error, "faults": learned.faults})
            print(rows[-1], flush=True)
    write("montages", rows)


if __name__ == "__main__":
    main()
