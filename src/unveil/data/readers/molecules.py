"""Molecules: SMILES in ``.smi`` files or in a column of a table, and SDF; one file, or a folder of them, nested or not.

As kind ``graph`` atoms are nodes and bonds edges. As kind ``atoms`` they have the places that an SDF gives in three dimensions; of SMILES
and flat records those of a conformer that is made when asked for. Groups are Bemis-Murcko scaffolds, so that a split goes by them.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, islice
from pathlib import Path

import numpy as np

from unveil.data import cells, conformers, molecules
from unveil.data.labels import numeric
from unveil.data.options import Options
from unveil.data.packed import Structure
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable
from unveil.data.runs import LABELS, plain
from unveil.data.sources import SMILES, Source, chemistry, cut, opened
from unveil.errors import Unusable

NAME = "molecules"
KINDS = ("graph", "atoms")
MOST_SCAFFOLDS = 300_000  # that are made without being asked for: some 130 microseconds each
TESTS = (("test", "train"), ("TEST", "TRAIN"), ("Test", "Train"))
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
    return None if first and _in_space(first) else "graph"


def _in_space(file: str) -> bool:
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
    sources = [opened(file, _wanted(options), _properties(file)) for file in files]
    if all(source.fault for source in sources):
        first = f"; {sources[0].file}: {sources[0].fault}" if sources else ""
        raise Unusable(f"none of the {len(files)} files of molecules in {path} can be used{first}")
    return records(sources, options, str(path), _tests(sources))


def records(sources: Sequence[Source], options: Options, where: str, test: np.ndarray | None = None,
            known: Callable[[Source, int], str] = Source.name, scaffold: np.ndarray | None = None) -> Records:
    """Records of the molecules of several sources.

    Args:
        sources: that have all columns which the options name.
        options: what the user says.
        where: what the sources are called together.
        test: bool, what the source holds out itself.
        known: what to call a molecule.
        scaffold: of each molecule, where they are known already.
    """
    starts = [0, *accumulate(map(len, sources))]

    def at(i: int) -> tuple[Source, int]:
        part = bisect_right(starts, i) - 1
        return sources[part], i - starts[part]

    columns = list(dict.fromkeys(name for source in sources for name in source.columns))
    target = cells.role(columns, None if options.target_file else options.targets, (), where)
    label = None if options.labels == "folders" or options.label_file else cells.role(
        [name for name in columns if name != target], options.labels, LABELS, where)
    words = lambda column: [source.word(column, i) for source in sources for i in range(len(source))]
    names = [known(source, i) for source in sources for i in range(len(source))]
    labels = _folders(where, sources) if options.labels == "folders" else np.array(words(label))
    groups, notes = _groups(sources, options, columns, where, test, words, scaffold)
    return Records(names, _loader(at, options.kind), layout=options.kind or "graph", test=test, notes=notes,
                   labels=labels if any(labels) else None, groups=groups,
                   targets=numeric(words(target), names, target) if target else None,
                   channels=None if options.kind == "atoms" else list(molecules.ATOM_FEATURES))


def _loader(at: Callable[[int], tuple[Source, int]], kind: str | None) -> Callable[[int], Structure]:
    """Reads one molecule as the kind has it."""
    def load(i: int) -> Structure:
        source, place = at(i)
        if kind != "atoms":
            return molecules.graph(source.molecule(place))
        molecule = source.molecule(place, whole=True)
        if molecules.has_places(molecule):
            return molecules.atoms(molecule)
        return conformers.places(source.molecule(place), source.text(place))
    return load


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


def _wanted(options: Options) -> Callable[[str], bool]:
    """Whether a column may be read: it is named by the options, or holds labels by its name."""
    named = {options.labels, options.targets, options.groups} - {None}
    return lambda name: name in named or (options.labels is None and plain(name) in LABELS)


def _tests(sources: Sequence[Source]) -> np.ndarray | None:
    """What lies in ``X.test.sdf`` or ``X_test.csv`` beside ``X.train.sdf``: held out by whoever made the set."""
    stems = [_stem(source.file) for source in sources]
    held = [any(stem.endswith(end) and stem.removesuffix(end) + start in stems for end, start in TESTS) for stem in stems]
    return np.repeat(held, [len(source) for source in sources]) if any(held) else None


def _stem(file: str) -> str:
    """A path without its endings."""
    for ending in (*cells.ENDINGS, *SMILES, ".sdf"):
        if file.lower().endswith(ending):
            return file[:-len(ending)]
    return file


def _folders(where: str, sources: Sequence[Source]) -> np.ndarray:
    """The first folder below ``where`` that each molecule lies in, as its label."""
    parts = [os.path.relpath(source.file, where).split(os.sep) for source in sources]
    if all(len(part) == 1 for part in parts):
        raise Unusable(f"{where} has no sub-folders to take labels from: leave out --labels folders")
    return np.array([part[0] if len(part) > 1 else "" for part, source in zip(parts, sources, strict=True) for _ in range(len(source))])


def _groups(sources: Sequence[Source], options: Options, columns: list[str], where: str, test: np.ndarray | None,
            words: Callable[[str], list[str]], scaffold: np.ndarray | None) -> tuple[np.ndarray | None, list[str]]:
    """Groups, and what is to be said of them."""
    count = sum(map(len, sources))
    if options.groups == "files":
        return np.array([source.file for source in sources for _ in range(len(source))]), []
    if options.groups not in (None, "scaffold"):
        return np.array(words(cells.role(columns, options.groups, (), where))), []
    if options.groups is None and test is not None:
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
