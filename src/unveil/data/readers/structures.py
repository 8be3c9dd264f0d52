"""Atoms in space: XYZ (plain, extended, as QM9 comes), PDB, CIF, tables with a column of CIF, data bases and trajectories of ASE.

One file, or a folder of them, nested or not. Every frame of a file is a record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from unveil.data import cells
from unveil.data.ase_files import database, trajectory
from unveil.data.collect import collect, tests, usable, wanted
from unveil.data.crystals import blocks, table
from unveil.data.frames import Frames, pdb, unusable, xyz
from unveil.data.options import Options
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable

NAME = "structures"
KINDS = ("atoms",)
WAYS = {".xyz": xyz, ".extxyz": xyz, ".pdb": pdb, ".cif": blocks, ".db": database, ".traj": trajectory}
TABLES = {".csv", ".tsv", ".gz", ".parquet"}
SQLITE = b"SQLite format 3\0"
FORM = ("lattice", "properties", "pbc")  # which say how a frame is written
GROW = {"energy", "free_energy"}  # of twice the atoms they are about twice as large
GROW_IN_QM9 = {"zpve", "U0", "U", "H", "G"}
SHOWN = 12  # names of numbers that a note gives


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names, and at the first bytes of what may be any data base or table."""
    if path.is_file():
        return f"a file of atoms ({path.suffix.lower()})" if _is_ours(str(path)) else None
    first = next(filter(_is_ours, walk(path, {*WAYS})), None) or _first_table(path)
    return f"a folder of files of atoms ({Path(first).suffix.lower()})" if first else None


def _is_ours(file: str) -> bool:
    ending = Path(file).suffix.lower()
    if ending == ".db":
        try:
            with open(file, "rb") as stream:
                return stream.read(len(SQLITE)) == SQLITE
        except OSError:
            return False
    return ending in WAYS or (cells.is_table(file) and cells.column_called(file, "cif") is not None)


def _first_table(path: Path) -> str | None:
    """The first table below a folder, where it has a column of CIF."""
    found = next(filter(cells.is_table, walk(path, TABLES)), None)
    return found if found and _is_ours(found) else None


def read(path: Path, options: Options) -> Records:
    """Records of all frames; each is read when it is asked for.

    Raises:
        Unusable: where no file can be used, or the options name what is not there.
    """
    beside = [file.resolve() for file in (options.label_file, options.target_file) if file]
    of_tables = TABLES if path.is_dir() and _first_table(path) else set()
    files = [str(path)] if path.is_file() else [file for file in walk(path, {*WAYS} | of_tables) if Path(file).resolve() not in beside
                                                and (Path(file).suffix.lower() != ".db" or _is_ours(file))]
    sources = [_opened(file, wanted(options)) for file in files]
    usable(sources, path, "atoms")
    records = collect(sources, options, str(path), lambda source, i: source.read(i), groups=lambda: _groups(sources, options, str(path)),
                      test=tests(sources))
    records.layout = "atoms"
    unit = next((source.units[options.targets] for source in sources if options.targets in source.units), None)
    records.target = f"{options.targets} ({unit})" if unit else None
    records.extensive = options.targets in GROW or (bool(unit) and options.targets in GROW_IN_QM9)
    records.notes += [*dict.fromkeys(note for source in sources for note in source.notes), *_notes(sources, options, unit)]
    return records


def _opened(file: str, wanted: Callable[[str], bool]) -> Frames:
    """The frames of a file by its ending, with the columns that are wanted."""
    way = WAYS.get(Path(file).suffix.lower())
    try:
        return way(file).keep(wanted) if way else table(file, wanted)
    except Unreadable as why:
        return unusable(file, str(why))
    except OSError as why:
        return unusable(file, f"cannot be opened: {why.strerror or why}")


def _groups(sources: Sequence[Frames], options: Options, where: str) -> tuple[np.ndarray | None, list[str]]:
    """Files as groups where frames of one file follow one another, as in a simulation."""
    if options.groups is not None:
        cells.role([*dict.fromkeys(name for source in sources for name in source.columns), "files"], options.groups, (), where)
    if len(sources) < 2 or max(map(len, sources)) < 2 or any(source.what == "row" for source in sources):
        return None, []
    return np.array([source.file for source in sources for _ in range(len(source))]), ["groups are files: frames of one are alike"]


def _notes(sources: Sequence[Frames], options: Options, unit: str | None) -> list[str]:
    """What can be predicted, and in which unit it is."""
    known = list(dict.fromkeys(name for source in sources for name in source.columns if name.lower() not in FORM))
    if options.targets in known:
        return [] if unit else [f"{options.targets} is in the unit of the file, which does not say it"]
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return [f"beside the atoms stand {', '.join(known[:SHOWN])}{more}: choose numbers to predict with --targets"] if known else []
