"""Conformers that were made once are kept in the user's cache: making one takes some 25 ms, reading it a fraction of one."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

import numpy as np

from unveil.data import molecules
from unveil.data.locate import cache_folder
from unveil.data.packed import Structure
from unveil.data.records import Unreadable


def places(molecule, text: str) -> Structure:
    """The atoms of a molecule in space, out of the cache where they are there.

    Args:
        molecule: of RDKit.
        text: what it was read from, by which it is found again.

    Raises:
        Unreadable: where no conformer is found, which is kept too.
    """
    version = molecules.rdkit()[1].rdkitVersion
    key = hashlib.sha256(f"{version} {molecules.SEED} {molecules.ATTEMPTS} {text}".encode()).digest()
    try:
        with closing(_opened()) as held:
            return _found(held, key) or _made(molecule, held, key)
    except (sqlite3.Error, OSError, ValueError):  # a cache that cannot be written or is damaged is done without
        return molecules.embedded(molecule)


def _opened() -> sqlite3.Connection:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    held = sqlite3.connect(folder / "conformers.sqlite", timeout=30, isolation_level=None)
    held.execute("PRAGMA synchronous = OFF")
    held.execute("CREATE TABLE IF NOT EXISTS conformers (key BLOB PRIMARY KEY, atoms BLOB, fault TEXT)")
    return held


def _found(held: sqlite3.Connection, key: bytes) -> Structure | None:
    row = held.execute("SELECT atoms, fault FROM conformers WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    if row[1]:
        raise Unreadable(row[1])
    values = np.frombuffer(row[0], np.float32).reshape(-1, 4)
    return Structure(values[:, :1].copy(), where=values[:, 1:].copy())


def _made(molecule, held: sqlite3.Connection, key: bytes) -> Structure:
    atoms, fault, made = b"", "", None
    try:
        made = molecules.embedded(molecule)
        atoms = np.concatenate([made.values, made.where], 1).tobytes()
    except Unreadable as why:
        fault = str(why)
    held.execute("INSERT OR IGNORE INTO conformers VALUES (?, ?, ?)", (key, atoms, fault))
    if made is None:
        raise Unreadable(fault)
    return made
