"""Processed series: in memory where all of them fit, else each in a file of the cache folder, from which windows are read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path

import numpy as np

from unveil.data.locate import cache_folder
from unveil.data.machine import memory_limit, processes
from unveil.data.processing import VERSION, Found, Processing, process
from unveil.data.series import Series
from unveil.errors import Unusable

SHARE = 0.25  # of the memory that this process may use
OPEN = 256  # files at once


class Memory:
    """Processed values ``(T, C)`` float32 in memory."""

    def __init__(self, count: int, channels: int):
        self.values = np.empty((count, channels), np.float32)

    def part(self, start: int, stop: int) -> np.ndarray:
        return self.values[start:stop]

    read = part


class Disk:
    """Processed values ``(T, C)`` float32 in a file that is mapped: the system keeps of it what memory has room for."""

    def __init__(self, path: Path, count: int, channels: int, maps: Maps):
        self.path, self.count, self.channels, self.maps = path, count, channels, maps

    def part(self, start: int, stop: int) -> np.ndarray:
        return np.memmap(self.path, np.float32, "r+", 4 * start * self.channels, (stop - start, self.channels))

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.maps.of(self.path, self.count, self.channels)[start:stop]


class Maps:
    """Mapped files, the most recently used ones; a recording has one, and there may be more than a process may hold open."""

    def __init__(self):
        self.held: OrderedDict[Path, np.ndarray] = OrderedDict()
        self.lock = threading.Lock()

    def of(self, path: Path, count: int, channels: int) -> np.ndarray:
        with self.lock:
            if (found := self.held.get(path)) is None:
                try:
                    found = np.asarray(np.memmap(path, np.float32, "r", shape=(count, channels)))
                except (OSError, ValueError) as why:
                    raise Unusable(f"{path} of the cache is gone or cut short: start the command again") from why
                self.held[path] = found
                if len(self.held) > OPEN:
                    self.held.popitem(last=False)
            self.held.move_to_end(path)
            return found


class Store:
    """Processes series, each once.

    Args:
        series: that are to be processed, by which it is known whether they fit into memory.
        how: what is done to them.
    """

    def __init__(self, series: list[Series], how: Processing):
        self.how, self.maps = how, Maps()
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
        room = Disk(path, count, channels, self.maps)
        if (known := _known(path, 4 * count * channels)) is not None:
            return room, known
        part = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(part, "wb") as stream:
                _reserve(stream.fileno(), 4 * count * channels)
            found = process(series, self.how, Disk(part, count, channels, self.maps))
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
