"""Data bases (``.db``) and trajectories (``.traj``) of ASE, read without it: nothing is opened for writing, and no class is made because a
file names it."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from unveil.data.atoms import structure
from unveil.data.changes import stamp
from unveil.data.frames import LONGEST, Frames, unchanged
from unveil.data.packed import Structure
from unveil.data.records import Unreadable

EV = {"energy": "eV", "free_energy": "eV"}


def database(file: str) -> Frames:
    """The table ``systems`` of a data base in SQLite, opened for reading alone.

    Raises:
        Unreadable: where it is none of ASE's, or empty.
    """
    seen, numbers, facts = stamp(file), [], []
    try:
        with closing(_connected(file)) as held:
            if held.execute("SELECT type FROM sqlite_master WHERE name = 'systems'").fetchall() != [("table",)]:
                raise Unreadable("is no data base of ASE: it has no table systems")
            forces = "forces" if any(column[1] == "forces" for column in held.execute("PRAGMA table_info(systems)")) else "NULL"
            for number, energy, free, more in held.execute("SELECT id, energy, free_energy, key_value_pairs FROM systems ORDER BY id"):
                numbers.append(int(number))
                facts.append(_plain({"energy": energy, "free_energy": free} | _json(more)))
    except (sqlite3.Error, TypeError, ValueError, OverflowError) as why:
        raise Unreadable("is no data base of ASE that can be read") from why
    if not numbers:
        raise Unreadable("has no rows")

    def read(i: int) -> Structure:
        unchanged(file, seen)
        try:
            with closing(_connected(file)) as held:
                row = held.execute(f"SELECT numbers, positions, cell, pbc, {forces} FROM systems WHERE id = ?", (numbers[i],)).fetchone()
            kinds, places, cell = (np.frombuffer(blob or b"", form) for blob, form in zip(row[:3], ("<i4", "<f8", "<f8")))
            return structure(kinds, places.reshape(-1, 3), cell.reshape(3, 3) if cell.size else np.zeros((3, 3)),
                             np.array([bool(int(row[3] or 0) >> axis & 1) for axis in range(3)]), _by_atom(row[4]))
        except (sqlite3.Error, TypeError, ValueError, OverflowError) as why:
            raise Unreadable("is damaged: its atoms cannot be read") from why
    return Frames(file, read, numbers, facts, EV, what="row")


def _by_atom(blob) -> np.ndarray | None:
    """Forces as a data base holds them, three numbers an atom where their number allows it."""
    if blob is None:
        return None
    held = np.frombuffer(blob[:len(blob) // 8 * 8], "<f8") if isinstance(blob, bytes) else np.empty(0)
    return held if held.size % 3 else held.reshape(-1, 3)


def _connected(file: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(file).resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def _json(text) -> dict:
    held = json.loads(text) if text else {}
    return held if isinstance(held, dict) else {}


def _plain(facts: dict) -> dict[str, str]:
    """Facts that are one number or one word, as text."""
    return {str(name): str(value) for name, value in facts.items() if isinstance(value, (int, float, str)) and value != ""}


def trajectory(file: str) -> Frames:
    """A trajectory: frames of JSON that say where their arrays lie.

    Raises:
        Unreadable: where it is none of ASE's, or empty.
    """
    seen = stamp(file)
    with open(file, "rb") as stream:
        frames = list(_ulm(stream))
    if not frames:
        raise Unreadable("has no frames")
    first = frames[0]

    def read(i: int) -> Structure:
        unchanged(file, seen)
        held = {name: frames[i].get(name, first.get(name)) for name in ("numbers.", "positions.", "cell", "cell.", "pbc", "pbc.")}
        with open(file, "rb") as stream:
            got = {name.rstrip("."): _array(stream, value) for name, value in held.items() if value is not None}
            forces = _forces(stream, frames[i].get("calculator."))
        if not {"numbers", "positions"} <= got.keys():
            raise Unreadable("has a frame without numbers or positions")
        return structure(got["numbers"], got["positions"], got.get("cell", np.zeros((3, 3))), got.get("pbc", np.zeros(3, bool)), forces)

    facts = [_plain(frame["calculator."]) if isinstance(frame.get("calculator."), dict) else {} for frame in frames]
    return Frames(file, read, list(range(1, len(frames) + 1)), facts, EV)


def _forces(stream, calculator) -> np.ndarray | None:
    """What a frame's calculator says of forces; nothing of any use where it cannot be read: a frame is not lost for its labels."""
    held = calculator if isinstance(calculator, dict) else {}
    value = held.get("forces.", held.get("forces"))
    try:
        return None if value is None else _array(stream, value)
    except Unreadable:
        return np.empty(0)


def _ulm(stream) -> Iterator[dict]:
    """The JSON of every frame."""
    head = stream.read(48)
    if len(head) < 48 or head[:24].rstrip(b"\0 ") != b"- of UlmASE-Trajectory":
        raise Unreadable("is no trajectory of ASE")
    count, begin = np.frombuffer(head[32:48], "<i8").tolist()
    stream.seek(max(0, begin))
    held = stream.read(8 * min(max(0, count), LONGEST))
    if len(held) < 8 * count:
        raise Unreadable("is a trajectory that is cut short")
    offsets = np.frombuffer(held, "<i8")
    for offset in offsets.tolist():
        stream.seek(max(0, offset))
        size = int.from_bytes(stream.read(8), "little")
        try:
            frame = json.loads(stream.read(min(size, LONGEST)))
        except (ValueError, RecursionError):
            frame = {}
        yield frame if isinstance(frame, dict) else {}


def _array(stream, value) -> np.ndarray:
    """Numbers that stand in the JSON, or where it says that they lie.

    Raises:
        Unreadable: where there are none.
    """
    try:
        if not isinstance(value, dict):
            return np.array(value, np.float64)
        shape, form, offset = value["ndarray"]
        form, count = np.dtype({"int64": "<i8", "int32": "<i4", "float64": "<f8", "float32": "<f4", "bool": "?"}[form]), math.prod(shape)
        if not 0 <= count <= LONGEST or any(side < 0 for side in shape):
            raise ValueError(shape)
        stream.seek(offset)
        return np.frombuffer(stream.read(count * form.itemsize), form).reshape(shape)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as why:
        raise Unreadable("is a frame whose arrays cannot be read") from why
