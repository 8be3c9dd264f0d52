"""Tar shards in the layout of WebDataset: ``key.jpg`` or ``key.npy`` beside ``key.cls``, ``key.txt`` or ``key.json``.

A shard is indexed by its headers, then read in place; nothing is ever unpacked, so no name in it can lead anywhere.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from unveil.data.options import Options
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable

NAME = "shards"
KINDS = ("image", "signal")
WORDS = ("cls", "json", "txt")
LONGEST_WORD = 1 << 16


@dataclass(frozen=True)
class Place:
    """Where a record lies in its shard, or why it cannot be used; what is said of it."""

    shard: str
    key: str
    start: int
    size: int
    picture: bool
    fault: str = ""
    label: str = ""
    group: str = ""


@dataclass
class Members:
    """Members of one key, by ending: offset and size of what can be a record, text of what can be a label."""

    values: dict[str, tuple[int, int]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names alone."""
    if path.is_file():
        return "a tar shard" if path.suffix.lower() == ".tar" else None
    return "a folder of tar shards" if next(walk(path, {".tar"}), None) else None


def kinds(path: Path) -> tuple[str, ...]:
    """What the first members of the first shard that can be read may be: a picture is an image, an array can be either kind."""
    for shard in _shards(path):
        endings = {_named(member.name)[1] for member in islice(_members(shard, []), 100)}
        if any(_is_value(ending) for ending in endings):
            return KINDS if any(_last(ending) == ".npy" for ending in endings) else ("image",)
    return KINDS


def read(path: Path, options: Options) -> Records:
    """Records of one shard or of all below a folder, read when asked for. A shard that cannot be used is one record that says why.

    Raises:
        Unusable: where there is nothing to read, or nothing has the label that the options name.
    """
    notes: list[str] = []
    places = [place for shard in _shards(path) for place in _places(shard, options, notes)]
    if all(place.fault for place in places):
        first = f"; {places[0].shard}: {places[0].fault}" if places else ""
        raise Unusable(f"{path} holds no picture or .npy that can be used{first}")
    labels, groups = np.array([place.label for place in places]), np.array([place.group for place in places])
    own = options.labels not in (None, "folders") and not options.label_file
    if not any(labels) and (own or options.labels == "folders"):
        raise Unusable(f"no sample in {path} has a label {options.labels!r}; name an ending (cls, txt), a key of its .json, or folders")
    if not own and len(labels) > 10 and len(set(labels)) == len(labels):
        notes.append("every sample has a label of its own: these are taken for captions, not classes")
        labels = labels[:0]
    if options.groups == "files":
        groups = np.array([place.shard for place in places])
    return Records([f"{place.shard}/{place.key}".rstrip("/") for place in places], lambda i: _load(places[i], options),
                   layout=options.layout if options.kind == "signal" else "hwc", rate=options.rate, notes=notes,
                   labels=labels if any(labels) else None, groups=groups if any(groups) else None)


def _shards(path: Path) -> list[str]:
    return [str(path)] if path.is_file() else list(walk(path, {".tar"}))


def _members(shard: str, notes: list[str]) -> Iterator[tarfile.TarInfo]:
    """The plain files in a shard that are there in full; what is cut off or damaged is noted and ends it.

    Raises:
        Unreadable: where not even the first header can be read.
    """
    size, count, whole = os.path.getsize(shard), 0, False
    try:
        with tarfile.open(shard, "r:") as archive:
            while member := archive.next():
                archive.members.clear()
                if member.isreg() and not member.issparse() and member.offset_data + member.size <= size:
                    count += 1
                    yield member
            archive.fileobj.seek(archive.offset)
            whole = archive.fileobj.read(512) == bytes(512)
    except (tarfile.TarError, OSError) as why:
        if not count:
            raise Unreadable(f"is no plain tar file that can be read ({why}); a compressed one must be decompressed first") from why
    if not whole:
        notes.append(f"{shard} is cut short or damaged after {count} files: those before are used")
