"""Broken files for every reader, by seed: valid files made here, then bent by what damage and malice do to files.

``corpus("pictures", 1000, seed=0)`` yields the same cases wherever and whenever it runs with the same versions of the encoders.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

READERS = ("pictures", "tables", "series", "recordings", "arrays", "shards", "hub", "labels", "tudataset", "molecules", "networks",
           "structures")


@dataclass(frozen=True)
class Case:
    """Files that a reader is given.

    Attributes:
        number: in its corpus.
        how: what was done to them.
        files: content by path.
        options: what the user says of them.
    """

    number: int
    how: str
    files: dict[str, bytes]
    options: dict[str, object]

    def write(self, folder: Path) -> Path:
        """Writes the files; what is to be opened: the only file, or the folder of several."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder / next(iter(self.files)) if len(self.files) == 1 else folder


def corpus(reader: str, count: int, seed: int = 0) -> Iterator[Case]:
    """``count`` cases for a reader."""
    broken = importlib.import_module(f"broken.{reader}").broken
    for number in range(count):
        yield Case(number, *broken(Random(f"{reader} {seed} {number}")))
