"""One run in one folder at a time, held by the system: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from unveil.errors import Unusable
from unveil.parts.distributed import helper
from unveil.training.checkpoint import sweep, unwritable

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None

NAME = "lock"


@contextmanager
def alone(folder: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Holds the folder of a run while it lasts, cleared of half-written files.

    The helpers of a run do not ask: its first process holds it for them all.

    Args:
        folder: of the run; made where it is not there.
        say: told where the file system has no locks; the run goes on without.

    Raises:
        Unusable: where another process holds it, or it cannot be written to.
    """
    if helper():
        yield
        return
    held = _taken(folder, say)
    try:
        if held is not None:
            sweep(folder)
        yield
    finally:
        if held is not None:
            (folder / NAME).unlink(missing_ok=True)  # while it is held, so that nobody has the file open as its holder
            os.close(held)


def _taken(folder: Path, say: Callable[[str], None]) -> int | None:
    path = folder / NAME
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as why:
            raise unwritable(folder, why) from why
        try:
            _lock(held)
        except BlockingIOError:
            raise _refused(folder, held) from None
        except OSError as why:
            os.close(held)
            path.unlink(missing_ok=True)
            say(f"{folder} lies where nothing can be locked ({why.strerror or why}): nothing keeps a second run out of it")
            return None
        if _same(path, held):
            break
        os.close(held)  # its holder ended and removed it between the two calls
    os.truncate(held, 0)
    os.write(held, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return held


def _lock(held: int) -> None:
    if fcntl is None:
        raise OSError("not on this system")
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _same(path: Path, held: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(held))
    except FileNotFoundError:
        return False


def _refused(folder: Path, held: int) -> Unusable:
    holder = os.read(held, 200).decode("utf-8", "replace") or "another process"
    os.close(held)
    return Unusable(f"a run is going on in {folder}, by {holder}: wait for it or end it, or choose another --out")
