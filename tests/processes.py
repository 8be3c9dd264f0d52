"""What the system says of processes."""

from __future__ import annotations

import time
from pathlib import Path


def children(process: int) -> list[int]:
    """Numbers of the processes that it started."""
    return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _facts(stat)[1:2] == [str(process)]]


def alive(process: int) -> bool:
    """Whether it still runs; one that ended and was not yet taken leave of does not."""
    return _facts(Path(f"/proc/{process}/stat"))[:1] not in ([], ["Z"])


def gone(process: int, seconds: float = 10) -> bool:
    """Whether it ends by itself in time."""
    until = time.perf_counter() + seconds
    while alive(process) and time.perf_counter() < until:
        time.sleep(0.05)
    return not alive(process)


def _facts(stat: Path) -> list[str]:
    """State, parent and so on; empty where there is no such process."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []
