"""Notices files that are replaced while they are in use, by their size and date: one question to the file system a reading."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import numpy as np

from unveil.wording import sentence


def stamp(file: str) -> int:
    """Of size and date of a file, never 0; -1 where it is not there."""
    try:
        held = os.stat(file)
    except OSError:
        return -1
    return hash((held.st_size, held.st_mtime_ns)) or 1


class Changes:
    """Compares each file with what it was when it was first read.

    Args:
        files: paths, by number.
        notes: sentences about the source; one is kept there that names what has changed.
    """

    def __init__(self, files: Sequence[str], notes: list[str]):
        self.files, self.notes, self.sentence = files, notes, ""
        self.seen = np.zeros(len(files), np.int64)  # eight bytes a file, of which there may be millions
        self.changed: dict[int, None] = {}
        self.lock = threading.Lock()

    def look(self, number: int) -> None:
        """Called before file ``number`` is read."""
        now, before = stamp(self.files[number]), self.seen[number]
        self.seen[number] = now
        if before not in (0, now):
            with self.lock:
                self._tell(number)

    def _tell(self, number: int) -> None:
        self.changed[number] = None
        first, count = self.files[next(iter(self.changed))], len(self.changed)
        what = f"{first} was" if count == 1 else f"{count} files, the first {first}, were"
        told = sentence(f"{what} changed while this went on: the same bits will not come out again")
        if self.sentence in self.notes:
            self.notes[self.notes.index(self.sentence)] = told
        else:
            self.notes.append(told)
        self.sentence = told
