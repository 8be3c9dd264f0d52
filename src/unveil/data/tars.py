"""What lies in a tar file, by key as in WebDataset, read in place: nothing is unpacked, so no name in it can lead anywhere."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from unveil.data.records import Unreadable

WORDS = ("cls", "json", "txt")
LONGEST_WORD = 1 << 16


@dataclass
class Members:
    """What a tar file holds under one key.

    Attributes:
        values: offset and size of what can be a record, by ending.
        words: text of the others that are short, by ending.
        facts: what the ``.json`` says.
    """

    values: dict[str, tuple[int, int]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)


def files(tar: str, notes: list[str]) -> Iterator[tarfile.TarInfo]:
    """The plain files that are there in full; where it is cut short or damaged is noted and ends it.

    Raises:
        Unreadable: where not even the first can be found.
    """
    count, whole = 0, False
    try:
        size = os.path.getsize(tar)
        with tarfile.open(tar, "r:") as archive:
            before = -1
            while member := archive.next():
                # A header of negative size would send tarfile back to where it was, for ever.
                if archive.offset <= before:
                    raise tarfile.ReadError("its headers run backwards")
                before = archive.offset
                archive.members.clear()
                if member.isreg() and not member.issparse() and 0 <= member.size <= size - member.offset_data:
                    count += 1
                    yield member
            archive.fileobj.seek(archive.offset)
            whole = archive.fileobj.read(512) == bytes(512)
    except Exception as why:  # a header can send tarfile anywhere, into itself until the stack ends too
        if not count:
            raise Unreadable("is no plain tar file that can be read; decompress it first if it is compressed") from why
    if not whole:
        notes.append(f"{tar} is cut short or damaged after {count} files; those before are used")


def named(name: str) -> tuple[str, str]:
    """Key and ending: what is before and after the first dot behind the last slash; both empty for a hidden file."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    stem, _, ending = base.partition(".")
    return (folder + slash + stem, ending.lower()) if stem and not stem.startswith("__") else ("", "")


def last(ending: str) -> str:
    """The last part of an ending: ``.png`` of ``seg.png``."""
    return "." + ending.rpartition(".")[2]


def index(tar: str, endings: Collection[str], notes: list[str]) -> dict[str, Members]:
    """Goes through a tar file once.

    Args:
        tar: its path.
        endings: of what can be a record.
        notes: told what is left out.

    Returns:
        Members by key, in order, of the keys that have something that can be a record.

    Raises:
        Unreadable: where it is no tar file.
    """
    held, bad, twice = {}, 0, 0
    with open(tar, "rb") as stream:
        for member in files(tar, notes):
            key, ending = named(member.name)
            sample = held.setdefault(key, Members())
            if last(ending) in endings:
                twice += ending in sample.values
                sample.values.setdefault(ending, (member.offset_data, member.size))
            elif ending in WORDS and member.size <= LONGEST_WORD:
                stream.seek(member.offset_data)
                sample.words[ending] = stream.read(member.size).decode("utf-8", "replace").strip()
                bad += ending == "json" and not _take_facts(sample)
    held.pop("", None)
    bare = sum(not sample.values for sample in held.values())
    left = [f"{what} ({count})" for what, count in (("files of a repeated name", twice), (".json that cannot be read", bad),
                                                    ("keys without a picture or array", bare)) if count]
    notes += [f"{tar}: left out {', '.join(left)}"] * bool(left)
    return {key: sample for key, sample in held.items() if sample.values}


def _take_facts(sample: Members) -> bool:
    """Puts what a ``.json`` says among the facts; False where it cannot be read."""
    try:
        said = json.loads(sample.words["json"])
    except (ValueError, RecursionError):
        return False
    sample.facts = said if isinstance(said, dict) else {"label": said}
    return True
