"""Sets of graphs in the text files of the TU Dortmund collection: ``NAME_A.txt``, ``NAME_graph_indicator.txt`` and what lies beside them.

Nodes carry the one-hot of ``NAME_node_labels.txt`` and the numbers of ``NAME_node_attributes.txt``, edges likewise; of a set without
either a node carries nothing. Classes are those of ``NAME_graph_labels.txt``, numbers to predict those of ``NAME_graph_attributes.txt``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unveil.data.adjacency import both_ways, one_hot
from unveil.data.options import Options
from unveil.data.packed import Structure
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable

NAME = "tudataset"
KINDS = ("graph",)
INDICATOR = "_graph_indicator.txt"
LINES = dict(delimiter=",", comments=None, ndmin=2, encoding="latin1")
MOST_COLUMNS = 100_000
MOST_CLASSES = 1000  # of a node or an edge: more are no labels, and their one-hot would not fit into memory


@dataclass
class Tables:
    """The files of a set, rows in order of their graphs.

    Attributes:
        start: ``(N + 1,)``, the nodes of graph ``i`` are rows ``start[i]`` to ``start[i + 1]``.
        values: ``(n, C)`` float32, of the nodes.
        edges: ``(2, E)`` rows, both ways, in order of the rows they leave from.
        edge_values: ``(E, F)`` float32, or None.
        channels: names of the columns of ``values``.
        faults: what is wrong with a graph, by its number from 0.
        notes: what was done to the edges.
    """

    start: np.ndarray
    values: np.ndarray
    edges: np.ndarray
    edge_values: np.ndarray | None
    channels: list[str]
    faults: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names alone."""
    return f"the TU set {stem.name}" if (stem := _first(path)) else None


def _first(path: Path) -> Path | None:
    """The first set at a file or below a folder, without the ends of its files' names."""
    if path.is_file():
        found = str(path) if path.name.endswith(INDICATOR) else str(path).removesuffix("_A.txt") + INDICATOR
        return Path(found.removesuffix(INDICATOR)) if found != str(path) + INDICATOR and Path(found).is_file() else None
    return next((Path(file.removesuffix(INDICATOR)) for file in walk(path, {".txt"}) if file.endswith(INDICATOR)), None)


def read(path: Path, options: Options) -> Records:
    """Records of all graphs of a set; the files are parsed here, once.

    Raises:
        Unusable: where files are missing, hold anything but numbers or do not go together, or the options name what is not there.
    """
    stem = _first(path)
    others = {str(path)} if path.is_file() else {file for file in walk(path, {".txt"}) if file.endswith(INDICATOR)}
    if len(others) > 1:
        raise Unusable(f"{path} holds {len(others)} TU sets; name the folder of one, such as {stem.parent}")
    if (options.groups and not options.made) or options.labels == "folders":
        raise Unusable(f"the TU set {stem.name} says nothing of groups or folders: leave out --groups and --labels folders")
    owner = _integers(stem, "graph_indicator", 1)[:, 0]
    label, target, count, notes = _answers(stem, options)
    if owner.min() < 1 or owner.max() > (count or len(owner)):
        wrong = int(np.flatnonzero((owner < 1) | (owner > (count or len(owner))))[0])
        raise Unusable(f"{stem}{INDICATOR} line {wrong + 1}: there is no graph {owner[wrong]}; graphs count from 1"
                       + (f" to {count}, the lines of {stem.name}_graph_labels.txt" if count else ""))
    count = count or int(owner.max())
    held = _tables(stem, owner - 1, count)
    if len(held.faults) == count:
        raise Unusable(f"none of the {count} graphs of {stem} can be used; graph 1: {held.faults[0]}")
    names = [f"{stem.name} graph {number}" for number in range(1, count + 1)]
    first = np.searchsorted(held.edges[0], held.start)

    def load(i: int) -> Structure:
        if i in held.faults:
            raise Unreadable(held.faults[i])
        rows, edges = slice(*held.start[i:i + 2]), slice(*first[i:i + 2])
        return Structure(held.values[rows], held.edges[:, edges] - held.start[i],
                         None if held.edge_values is None else held.edge_values[edges])

    return Records(names, load, layout="graph", labels=label, targets=target, channels=held.channels, notes=notes + held.notes)


def _tables(stem: Path, owner: np.ndarray, count: int) -> Tables:
    """Nodes and edges, given the number of each node's graph from 0."""
    order = np.argsort(owner, kind="stable")
    row = np.empty_like(order)
    row[order] = np.arange(len(order))
    start = np.searchsorted(owner[order], np.arange(count + 1))
    faults = {int(graph): "has no nodes" for graph in np.flatnonzero(np.diff(start) == 0)}
    ends = _integers(stem, "A", 2).T - 1
    outside = (ends < 0) | (ends >= len(owner))
    if outside.all(0).any():
        line = int(np.flatnonzero(outside.all(0))[0])
        raise Unusable(f"{stem}_A.txt line {line + 1}: the nodes {ends[0, line] + 1} and {ends[1, line] + 1} are not among the "
                       f"{len(owner)} of {stem.name}{INDICATOR}")
    inside = np.where(outside, ends[::-1], ends)
    apart = outside.any(0) | (owner[inside[0]] != owner[inside[1]])
    for line in np.flatnonzero(apart):
        words = f"{stem.name}_A.txt line {line + 1}: node {ends[0, line] + 1} and node {ends[1, line] + 1} are not of one graph"
        for graph in owner[inside[:, line]].tolist():
            faults.setdefault(graph, words)
    values, names = _values(stem, "node", len(owner), owner, faults)
    more, _ = _values(stem, "edge", ends.shape[1], owner[inside[0]], faults)
    edges, more, (lone, loops) = both_ways(row[ends[:, ~apart]], None if more.shape[1] == 0 else more[~apart], len(owner))
    notes = [f"{lone} edges stand there one way alone: they are taken both ways"] * (lone > 0)
    notes += [f"{loops} edges from a node to itself are left out"] * (loops > 0)
    return Tables(start, values[order], edges, more, names, faults, notes)


def _values(stem: Path, what: str, count: int, owner: np.ndarray, faults: dict[int, str]) -> tuple[np.ndarray, list[str]]:
    """What is known of all nodes, or all edges, and the names of the columns; graphs with numbers that are none become faults."""
    parts, names = [np.empty((count, 0), np.float32)], []
    if _file(stem, f"{what}_labels").is_file():
        codes = _fitting(stem, f"{what}_labels", _integers(stem, f"{what}_labels"), count)
        for column in range(codes.shape[1]):
            known = np.unique(codes[:, column])
            if len(known) > MOST_CLASSES:
                raise Unusable(f"{_file(stem, f'{what}_labels')} has {len(known)} different labels, more than {MOST_CLASSES}: "
                               f"numbers that measure something belong into {stem.name}_{what}_attributes.txt")
            parts.append(one_hot(codes[:, column], known))
            names += [f"{what} label {code}" if codes.shape[1] == 1 else f"{what} label {column + 1}: {code}" for code in known]
    if _file(stem, f"{what}_attributes").is_file():
        numbers = _fitting(stem, f"{what}_attributes", _numbers(stem, f"{what}_attributes"), count)
        with np.errstate(over="ignore"):
            parts.append(numbers.astype(np.float32))
        names += [f"{what} attribute {column + 1}" for column in range(numbers.shape[1])]
        for line in np.flatnonzero(~np.isfinite(parts[-1]).all(1)):
            faults.setdefault(int(owner[line]), f"{stem.name}_{what}_attributes.txt line {line + 1} holds a value that is not finite")
    return np.concatenate(parts, 1), names


def _answers(stem: Path, options: Options) -> tuple[np.ndarray | None, np.ndarray | None, int, list[str]]:
    """Labels and targets of the graphs, how many graphs they say there are (0 where they say nothing), and notes."""
    label = target = None
    count, notes = 0, []
    if _file(stem, "graph_labels").is_file():
        numbers = _numbers(stem, "graph_labels")
        count = len(numbers)
        label = _column(stem, "graph_labels", numbers, options.labels if not options.label_file else None, "--labels", notes)
        if (label[np.isfinite(label)] % 1).any():
            label, target = None, label
            notes.append(f"{stem.name}_graph_labels.txt holds numbers that are no classes: they are taken as numbers to predict")
        else:
            label = np.array([f"{number:.0f}" if np.isfinite(number) else "" for number in label])
    if _file(stem, "graph_attributes").is_file():
        numbers = _numbers(stem, "graph_attributes")
        if count and len(numbers) != count:
            raise Unusable(f"{_file(stem, 'graph_attributes')} has {len(numbers)} lines, {stem.name}_graph_labels.txt has {count}")
        count = len(numbers)
        target = _column(stem, "graph_attributes", numbers, options.targets if not options.target_file else None, "--targets", notes)
    return label, target, count, notes


def _column(stem: Path, what: str, numbers: np.ndarray, wanted: str | None, option: str, notes: list[str]) -> np.ndarray:
    """The column of a file that the user named by its number from 1; the first where nothing was named."""
    width = numbers.shape[1]
    if wanted is not None and not (wanted.isdecimal() and 1 <= int(wanted[:9]) <= width):
        raise Unusable(f"{_file(stem, what)} has no column {wanted!r}; its columns are the numbers 1 to {width}: give {option} 1")
    if wanted is None and width > 1:
        notes.append(f"{stem.name}_{what}.txt has {width} columns, the first is taken; choose with {option} 1 to {width}")
    return numbers[:, int(wanted or 1) - 1]


def _fitting(stem: Path, what: str, held: np.ndarray, count: int) -> np.ndarray:
    if len(held) != count:
        beside = "A.txt" if what.startswith("edge") else INDICATOR[1:]
        raise Unusable(f"{_file(stem, what)} has {len(held)} lines, {stem.name}_{beside} has {count}")
    return held


def _file(stem: Path, what: str) -> Path:
    return stem.parent / f"{stem.name}_{what}.txt"


def _integers(stem: Path, what: str, width: int = 0) -> np.ndarray:
    """The whole numbers of a file, ``(lines, columns)``; ``width`` columns where it says so."""
    held = _parsed(_file(stem, what), np.int64)
    if width and held.shape[1] != width:
        raise Unusable(f"{_file(stem, what)} has {held.shape[1]} numbers a line; there must be {width}")
    return held


def _numbers(stem: Path, what: str) -> np.ndarray:
    return _parsed(_file(stem, what), np.float64)


def _parsed(file: Path, dtype: type) -> np.ndarray:
    """A file of numbers between commas.

    Raises:
        Unusable: with the first line that is not like the others.
    """
    if not file.is_file():
        raise Unusable(f"{file} is missing, without which this is no TU set")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a file without values
        try:
            held = np.loadtxt(file, dtype, **LINES)
        except ValueError as why:
            if said := _wrong(file, dtype):
                raise Unusable(f"{file} {said}") from why
            held = _between_blanks(file, dtype)
    if not len(held):
        raise Unusable(f"{file} is empty")
    return held


def _between_blanks(file: Path, dtype: type) -> np.ndarray:
    """The numbers of a file in which lines of blanks stand."""
    try:
        with open(file, encoding="latin1") as stream:
            return np.loadtxt(filter(str.strip, stream), dtype, **LINES)
    except ValueError as why:
        raise Unusable(f"{file} holds something else than lines of numbers") from why


def _wrong(file: Path, dtype: type) -> str:
    """The first line that cannot be read, and why; empty where blanks alone were in the way."""
    width, what = 0, "whole number" if dtype is np.int64 else "number"
    with open(file, encoding="latin1") as stream:
        for number, line in enumerate(stream, 1):
            cells = line.strip("\r\n").split(",") if line.strip() else []
            if len(cells) > MOST_COLUMNS:
                return f"line {number} has {len(cells):,} values, more than {MOST_COLUMNS:,}"
            for cell in cells:
                try:
                    sound = "_" not in cell and dtype(cell.strip()) is not None  # Python reads 1_000, files do not mean it
                except (ValueError, OverflowError):
                    sound = False
                if not sound:
                    return f"line {number}: {cell.strip()[:40]!r} is no {what}"
            if cells and width not in (0, len(cells)):
                return f"line {number} has {len(cells)} values, the lines before have {width}"
            width = width or len(cells)
    return ""
