"""Networks: GraphML, GML, lists of edges, node-link JSON; one file, or a folder of them, nested or not. Every network is a record.

What nodes and edges carry becomes their features: a number as it is, a word as the one-hot of all words of the set. Only what nearly all
networks carry at every node is used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unveil.data.adjacency import both_ways, one_hot
from unveil.data.collect import collect, tests, usable
from unveil.data.networks import ENDINGS, LISTS, Network, number
from unveil.data.networks import read as parsed
from unveil.data.options import Options
from unveil.data.packed import Structure
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable

NAME = "networks"
KINDS = ("graph",)
MOST_WORDS = 64  # different ones of an attribute: more are names, not sorts
PEEK = 1 << 16
SAVED = ("dataset_dict.json", "dataset_info.json", "state.json")  # of a Hugging Face data set


@dataclass
class File:
    """One file; see :class:`unveil.data.collect.Source`."""

    file: str
    networks: list[Network] = field(default_factory=list)
    fault: str = ""
    words: dict[str, list[str]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.columns = list(dict.fromkeys(name for network in self.networks for name in network.facts))
        self.words = {name: [network.facts.get(name, "") for network in self.networks] for name in self.columns}

    def __len__(self) -> int:
        return max(1, len(self.networks))

    def name(self, i: int) -> str:
        """What to call a network in a message."""
        return f"{self.file} graph {i + 1}" if len(self) > 1 else self.file


@dataclass
class Attribute:
    """What all nodes, or all edges, carry under one name: a number where there are no ``words``."""

    name: str
    words: np.ndarray | None = None

    def columns(self) -> list[str]:
        """Names of its columns."""
        return [self.name] if self.words is None else [f"{self.name} {word}" for word in self.words]

    def values(self, held: Sequence[dict[str, object]], what: str) -> np.ndarray:
        """``(n, columns)`` float32.

        Raises:
            Unreadable: where one carries nothing, or something else.
        """
        for i, facts in enumerate(held):
            sound = number(facts.get(self.name)) is not None if self.words is None else isinstance(facts.get(self.name), str)
            if not sound:
                form = "number" if self.words is None else "word"
                raise Unreadable(f"{what} {i + 1} has no {form} {self.name!r}, which most graphs have")
        if self.words is not None:
            return one_hot(np.array([facts[self.name] for facts in held], str), self.words)
        with np.errstate(over="ignore"):
            values = np.array([number(facts[self.name]) for facts in held], np.float64).astype(np.float32)[:, None]
        if not np.isfinite(values).all():
            raise Unreadable(f"{what} {int(np.argmin(np.isfinite(values))) + 1}: its {self.name!r} is not finite")
        return values


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names, and for nodes in the first JSON."""
    if path.is_file():
        return f"a network ({path.suffix.lower()})" if _is_ours(str(path)) else None
    first = next(walk(path, {*ENDINGS}), None)
    return f"a folder of networks ({Path(first).suffix.lower()})" if first and _is_ours(first) else None


def _is_ours(file: str) -> bool:
    ending = Path(file).suffix.lower()
    if ending != ".json" or Path(file).name in SAVED:
        return ending in LISTS or ending in (".graphml", ".gml")
    try:
        with open(file, "rb") as stream:
            return b'"nodes"' in stream.read(PEEK)
    except OSError:
        return False


def read(path: Path, options: Options) -> Records:
    """Records of all networks; the files are parsed here, since what their nodes carry says how many features a node has.

    Raises:
        Unusable: where no file can be used, or the options name what is not there.
    """
    files = [_file(file) for file in ([str(path)] if path.is_file() else walk(path, {*ENDINGS}))]
    usable(files, path, "networks")
    networks = [network for file in files for network in file.networks]
    notes: list[str] = []
    nodes = list(_attributes([network.nodes for network in networks], "node", notes))
    edges = list(_attributes([network.of_edges for network in networks], "edge", notes))

    def load(file: File, i: int) -> Structure:
        if file.fault:
            raise Unreadable(file.fault)
        return _structure(file.networks[i], nodes, edges)

    records = collect(files, options, str(path), load, groups=lambda: (None, []), test=tests(files))
    records.layout, records.channels = "graph", [column for attribute in nodes for column in attribute.columns()]
    records.notes += notes
    return records


def _file(file: str) -> File:
    try:
        return File(file, parsed(file))
    except Unreadable as why:
        return File(file, fault=str(why))


def _attributes(held: Sequence[Sequence[dict[str, object]]], what: str, notes: list[str]) -> Iterator[Attribute]:
    """What is carried by all nodes (or edges) of more than half of the networks that have any, in order of name."""
    held = [facts for facts in held if facts]
    whole: Counter[str] = Counter()
    words: dict[str, set[str]] = defaultdict(set)
    numbers: Counter[str] = Counter()
    for facts in held:
        for name in set.intersection(*map(set, facts)):
            values = [of[name] for of in facts]
            if all(number(value) is not None for value in values):
                numbers[name] += 1
            elif all(isinstance(value, str) for value in values):
                words[name].update(values)
            else:
                continue
            whole[name] += 1
    named = {name for facts in held for of in facts for name in of}
    for name in sorted(named):
        if 2 * whole[name] <= len(held):
            notes.append(f"{name!r} is not carried by every {what} of most graphs: it is no feature")
        elif 2 * numbers[name] > whole[name]:
            yield Attribute(name)
        elif len(words[name]) > MOST_WORDS:
            notes.append(f"{name!r} of a {what} has {len(words[name])} different words, more than {MOST_WORDS}: it is no feature")
        else:
            yield Attribute(name, np.array(sorted(words[name])))


def _structure(network: Network, nodes: Sequence[Attribute], edges: Sequence[Attribute]) -> Structure:
    """A network as the others are read."""
    count = len(network.nodes)
    if not count:
        raise Unreadable("has no nodes")
    values = np.concatenate([np.empty((count, 0), np.float32), *(of.values(network.nodes, "node") for of in nodes)], 1)
    known = np.concatenate([np.empty((len(network.edges), 0), np.float32), *(of.values(network.of_edges, "edge") for of in edges)], 1)
    found, known, _ = both_ways(np.array(network.edges, np.int64).reshape(-1, 2).T, known if edges else None, count)
    return Structure(values, found, known)
