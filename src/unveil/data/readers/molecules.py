"""Molecules: SMILES in ``.smi`` files or in a column of a table, and SDF; one file, or a folder of them, nested or not.

As kind ``graph`` atoms are nodes and bonds edges. As kind ``atoms`` they have the places that an SDF gives in three dimensions; of SMILES
and flat records those of a conformer that is made when asked for. Groups are Bemis-Murcko scaffolds, so that a split goes by them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np

from unveil.data import cells, conformers, molecules
from unveil.data.collect import collect, tests, usable, wanted
from unveil.data.options import Options
from unveil.data.packed import Structure
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable
from unveil.data.sources import SMILES, Source, chemistry, cut, opened

NAME = "molecules"
KINDS = ("graph", "atoms")
MOST_SCAFFOLDS = 300_000  # that are made without being asked for: some 130 microseconds each
FIRST = 20  # records of an SDF that are looked at for places


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names, and in tables for a column of SMILES."""
    if path.is_file():
        name = str(path).lower()
        if name.endswith(SMILES):
            return "a file of SMILES"
        if name.endswith(".sdf"):
            return "an SDF of molecules"
        return "a table with a column of SMILES" if cells.is_table(name) and cells.column_called(str(path), "smiles") else None
    first = next(walk(path, {*SMILES, ".sdf"}), None)
    if first:
        return "a folder of SMILES files" if first.lower().endswith(SMILES) else "a folder of SDF"
    table = next(filter(cells.is_table, walk(path, {".csv", ".tsv", ".gz", ".parquet"})), None)
    return "a folder of tables with a column of SMILES" if table and cells.column_called(table, "smiles") else None


def usual(path: Path) -> str | None:
    """The kind where none is said: a graph, but of an SDF in three dimensions nobody knows whether its bonds or its places are meant."""
    files = [str(path)] if path.is_file() else walk(path, {".sdf"})
    first = next((file for file in files if file.lower().endswith(".sdf")), None)
    return None if first and _stands_in_space(first) else "graph"


def _stands_in_space(file: str) -> bool:
    """Whether the first record of an SDF that can be read has places in three dimensions."""
    try:
        for _, _, _, record in islice(cut(file), FIRST):
            with suppress(Unreadable):
                return molecules.has_places(molecules.of_block(chemistry(record), True))
    except Unreadable:
        pass
    return False


def read(path: Path, options: Options) -> Records:
    """Records of all molecules; each is made when it is asked for.

    Raises:
        Unusable: where no file can be used, or the options name what is not there.
    """
    molecules.rdkit()
    files = [str(path)] if path.is_file() else list(_files(path, options))
    sources = [opened(file, wanted(options), _properties(file)) for file in files]
    usable(sources, path, "molecules")
    return records(sources, options, str(path), tests(sources))


def records(sources: Sequence[Source], options: Options, where: str, test: np.ndarray | None = None,
            known: Callable[[Source, int], str] = Source.name, scaffold: np.ndarray | None = None) -> Records:
    """Records of the molecules of several sources; see :func:`unveil.data.collect.collect`. ``scaffold`` is that of each molecule, where
    they are known already."""
    held = collect(sources, options, where, _in_space if options.kind == "atoms" else _as_graph, test=test, known=known,
                   groups=lambda: _groups(sources, options, where, test, scaffold))
    held.layout, held.channels = ("atoms", None) if options.kind == "atoms" else ("graph", list(molecules.ATOM_FEATURES))
    return held


def _as_graph(source: Source, i: int) -> Structure:
    return molecules.graph(source.molecule(i))


def _in_space(source: Source, i: int) -> Structure:
    molecule = source.molecule(i, whole=True)
    if molecules.has_places(molecule):
        return molecules.atoms(molecule)
    return conformers.places(source.molecule(i), source.text(i))


def _files(path: Path, options: Options) -> Iterator[str]:
    """Files of molecules below a folder; not those that say something of others."""
    beside = [file.resolve() for file in (options.label_file, options.target_file) if file]
    for file in walk(path, {*SMILES, ".sdf", ".csv", ".tsv", ".gz", ".parquet"}):
        if Path(file).resolve() in beside or (file.endswith(".sdf.csv") and os.path.exists(file.removesuffix(".csv"))):
            continue
        if file.lower().endswith((*SMILES, ".sdf")) or cells.is_table(file):
            yield file


def _properties(file: str) -> str | None:
    """The table that has a line a record of an SDF: as QM9 comes, ``gdb9.sdf.csv`` of ``gdb9.sdf``."""
    return f"{file}.csv" if file.lower().endswith(".sdf") and os.path.isfile(f"{file}.csv") else None


def _groups(sources: Sequence[Source], options: Options, where: str, test: np.ndarray | None,
            scaffold: np.ndarray | None) -> tuple[np.ndarray | None, list[str]]:
    """Scaffolds as groups, and what is to be said of them.

    Raises:
        Unusable: where the user asked for others.
    """
    count = sum(map(len, sources))
    if options.groups not in (None, "scaffold"):
        cells.role([*dict.fromkeys(name for source in sources for name in source.columns), "scaffold", "files"], options.groups, (), where)
    if options.groups is None and test is not None and scaffold is None:
        return None, ["the source's own test part is kept: it may share scaffolds with the rest"]
    if options.groups is None and count > MOST_SCAFFOLDS:
        return None, [f"scaffolds of {count:,} molecules are not made unless asked for: --groups scaffold"]
    groups = np.array([of for source in sources for of in scaffolds(source)]) if scaffold is None else scaffold
    return groups, [f"groups are {len(set(groups) - {''})} Bemis-Murcko scaffolds; a molecule without rings is a group of its own"]


def scaffolds(source: Source) -> Iterator[str]:
    """The scaffold of each molecule of a source, empty where it cannot be read."""
    for i in range(len(source)):
        try:
            yield molecules.scaffold(source.molecule(i))
        except Unreadable:
            yield ""
