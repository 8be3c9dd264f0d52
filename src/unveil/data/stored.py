"""Processed series: in memory where all of them fit, else each in a file of the cache folder, from which windows are read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from unveil.data.locate import cache_folder
from unveil.data.machine import memory_limit, processes
from unveil.data.processing import VERSION, Found, Processing, process
from unveil.data.series import Series
from unveil.errors import Unusable

SHARE = 0.25  # of the memory that this process may use
OPEN = 64  # files at once


class Memory:
    """Processed values ``(T, C)`` float32 in memory."""

    def __init__(self, count: int, channels: int):
        self.values = np.empty((count, channels), np.float32)

    def part(self, start: int, stop: int) -> np.ndarray:
        return self.values[start:stop]

    read = part


class Disk:
    """Processed values ``(T, C)`` float32 in a file; writing maps a part at a time, reading takes what is asked for and keeps nothing."""

    def __init__(self, path: Path, channels: int, files: Handles):
        self.path, self.channels, self.files = path, channels, files

    def part(self, start: int, stop: int) -> np.ndarray:
        return np.memmap(self.path, np.float32, "r+", 4 * start * self.channels, (stop - start, self.channels))

    def read(self, start: int, stop: int) -> np.ndarray:
        size = 4 * (stop - start) * self.channels
        held = self.files.read(self.path, size, 4 * start * self.channels)
        if len(held) != size:
            raise Unusable(f"{self.path} of the cache was cut short while it was in use: start the command again")
        return np.frombuffer(held, np.float32).reshape(-1, self.channels)


class Handles:
    """Open files, the most recently used ones; a recording has one, and there may be more than a process may hold open."""

    def __init__(self):
        self.held: OrderedDict[Path, int] = OrderedDict()
        self.lock = threading.Lock()

    def read(self, path: Path, size: int, place: int) -> bytes:
        with self.lock:
            if path not in self.held:
                try:
                    self.held[path] = os.open(path, os.O_RDONLY)
                except OSError as why:
                    raise Unusable(f"{path} of the cache is gone ({why.strerror}): start the command again") from why
                if len(self.held) > OPEN:
                    os.close(self.held.popitem(last=False)[1])
            self.held.move_to_end(path)
            return os.pread(self.held[path], size, place)

    def __del__(self):
        for number in self.held.values():
            os.close(number)


class Store:
    """Processes series, each once.

    Args:
        series: that are to be processed, by which it is known whether they fit into memory.
        how: what is done to them.
        say: told that a file is made.
    """

    def __init__(self, series: list[Series], how: Processing, say: Callable[[str], None] = lambda text: None):
        self.how, self.say, self.files = how, say, Handles()
        self.size = sum(4 * how.count(each) * len(each.channels) for each in series)
        self.on_disk = self.size > SHARE * memory_limit() / processes()

    def put(self, series: Series) -> tuple[Memory | Disk, Found]:
        """A processed series and what came to light.

        Raises:
            Unreadable: where it cannot be read.
            Unusable: where the cache folder has no room.
        """
        count, channels = self.how.count(series), len(series.channels)
        if not self.on_disk or series.origin is None:
            room = Memory(count, channels)
            return room, process(series, self.how, room)
        path = cache_folder() / "signals" / f"{self._key(series)}.f32"
        room = Disk(path, channels, self.files)
        if (known := _known(path, 4 * count * channels)) is not None:
            return room, known
        part = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(part, "wb") as stream:
                _reserve(stream.fileno(), 4 * count * channels)
            found = process(series, self.how, Disk(part, channels, self.files))
            part.replace(path)
            aside = path.with_suffix(f".json{os.getpid()}")
            aside.write_text(json.dumps(asdict(found)))
            aside.replace(path.with_suffix(".json"))
        except OSError as why:
            if why.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise
            raise Unusable(f"processed recordings need {self.size / 2**30:.1f} GiB in {path.parent}, and there {why.strerror.lower()}: "
                           "set UNVEIL_CACHE to a folder with room") from why
        finally:
            part.unlink(missing_ok=True)
        return room, found

    def _key(self, series: Series) -> str:
        """Of the file as it is, of what is done to it, and of this code."""
        held = os.stat(series.origin)
        said = [os.path.realpath(series.origin), held.st_size, held.st_mtime_ns, series.channels, series.length, asdict(self.how), VERSION]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def _reserve(number: int, size: int) -> None:
    """Takes the room on the disk now: a mapped file that runs out of it later ends the process without a word."""
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(number, 0, size)
    else:
        os.truncate(number, size)


def _known(path: Path, size: int) -> Found | None:
    """What was found when the file was made; None where it is not there or not whole."""
    try:
        if path.stat().st_size != size:
            return None
        return Found(**json.loads(path.with_suffix(".json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
