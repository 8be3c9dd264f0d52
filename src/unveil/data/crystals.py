"""Crystals in CIF, read by ASE: a file of blocks, or a column of a table."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from unveil.data import cells
from unveil.data.atoms import structure
from unveil.data.changes import stamp
from unveil.data.frames import LONGEST, Frames, unchanged
from unveil.data.packed import Structure
from unveil.data.records import Unreadable
from unveil.errors import Unusable


def blocks(file: str) -> Frames:
    """The blocks of a CIF.

    Raises:
        Unreadable: where it is none.
    """
    if Path(file).stat().st_size > LONGEST:
        raise Unreadable(f"has more than {LONGEST:,} bytes; cut it into several files")
    seen, text = stamp(file), Path(file).read_text("latin1")
    begins = [found.start() for found in re.finditer(r"^data_", text, re.M | re.I)]
    if not begins:
        raise Unreadable("has no line that begins with data_: it is no CIF")
    spans = list(zip(begins, [*begins[1:], len(text)]))

    def read(i: int) -> Structure:
        unchanged(file, seen)
        return cif(Path(file).read_text("latin1")[slice(*spans[i])])
    return Frames(file, read, list(range(1, len(spans) + 1)), what="block")


def cif(text: str) -> Structure:
    """The first block of a CIF, all atoms of its cell.

    Raises:
        Unreadable: where ASE cannot read it, or a site is only partly occupied.
    """
    try:
        from ase.io.cif import parse_cif
    except ImportError as why:
        raise Unusable("reading CIF needs the package ase: pip install 'unveil[atoms]'") from why
    if len(text) > LONGEST:
        raise Unreadable(f"is a CIF of more than {LONGEST:,} characters")
    if not text.strip():
        raise Unreadable("is empty: there is no CIF")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            atoms = next(iter(parse_cif(io.StringIO(text)))).get_atoms(fractional_occupancies=True)
            numbers, places, cell = atoms.numbers, atoms.positions, np.asarray(atoms.cell)
            shares = [float(share) for site in (atoms.info.get("occupancy") or {}).values() for share in site.values()]
        except KeyError as why:
            raise Unreadable(f"is no CIF that can be read: {str(why)[:40]} is missing or no element") from why
        except Exception as why:  # a damaged file can raise anything
            raise Unreadable("is no CIF that can be read") from why
    if any(share < 1 - 1e-3 for share in shares):
        raise Unreadable("has sites that are only partly occupied")
    return structure(numbers, places, cell, np.ones(3, bool))


def table(file: str, wanted: Callable[[str], bool]) -> Frames:
    """A table with a column of CIF, as Alex-MP-20 comes.

    Raises:
        Unreadable: where it has no such column.
    """
    column, columns = cells.column_called(file, "cif"), cells.names(file)
    if column is None:
        raise Unreadable(f"has no column cif; its columns are {', '.join(columns)}")
    lines, words = cells.read(file, {column, *filter(wanted, columns)})
    texts = words.pop(column)
    return Frames(file, lambda i: cif(texts[i]), lines.tolist(), words=words, columns=[name for name in columns if name != column],
                  what="row" if file.endswith(".parquet") else "line")
