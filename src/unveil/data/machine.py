"""What this process may use of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from torch import distributed


def processors() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes() -> int:
    """Processes that share this machine's memory in one run, as far as is known: those of torchrun, else all that have joined."""
    joined = distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
    return int(os.environ.get("LOCAL_WORLD_SIZE", joined))


def memory_limit() -> int:
    """Bytes that this process may use: the least of the machine's memory, its control groups' limits and that of its address space."""
    import resource  # which is not everywhere

    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits += [space] * (space != resource.RLIM_INFINITY)
    for path in _limits():
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return min(limits)


def _limits(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[Path]:
    """Files that may hold a limit: of this process's control group and of all above it, versions 2 and 1."""
    yield from (root / "memory.max", root / "memory" / "memory.limit_in_bytes")
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        base, name = (root / "memory", "memory.limit_in_bytes") if "memory" in controllers.split(",") else (root, "memory.max")
        if controllers and base == root:
            continue
        group = Path(place.strip("/"))
        yield from (base / part / name for part in (group, *group.parents))
