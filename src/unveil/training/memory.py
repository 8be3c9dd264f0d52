"""Memory that a training step frees stays with the process for the next step.

glibc gives every large tensor back to the system when it is freed, and gets it again a moment later, page by page: a tenth of a step's
time on a CPU goes there. While training lasts it is told to keep what it has; a step uses no more than it did.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# From malloc.h: what is returned from the heap's top, the size from which a block has a mapping of its own, how many may have one.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
KEPT = {TRIM_THRESHOLD: 2**31 - 1, MMAP_MAX: 0}
# What glibc itself goes up to in a process that frees large blocks; its own adjusting ends with the first call.
USUAL = {TRIM_THRESHOLD: 64 << 20, MMAP_MAX: 65536, MMAP_THRESHOLD: 32 << 20}
_inside = 0


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """While it lasts, freed memory is not returned to the system; at the end it is. Says whether this C library can do that."""
    global _inside
    library = _glibc()
    if library and not _inside:
        _set(library, KEPT)
    _inside += 1
    try:
        yield library is not None
    finally:
        _inside -= 1
        if library and not _inside:
            _set(library, USUAL)
            library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, where it is glibc."""
    try:
        library = ctypes.CDLL(None)
        return library if hasattr(library, "mallopt") and hasattr(library, "gnu_get_libc_version") else None
    except (OSError, TypeError):
        return None


def _set(library: ctypes.CDLL, values: dict[int, int]) -> None:
    for name, value in values.items():
        library.mallopt(name, value)
