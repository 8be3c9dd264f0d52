"""Networks out of files: GraphML and GML by networkx, node-link JSON and lists of edges by lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from unveil.data.records import Unreadable
from unveil.errors import Unusable

LISTS = (".edges", ".edgelist")
ENDINGS = (".graphml", ".gml", *LISTS, ".json")
LARGEST = 1 << 30  # bytes of a file
LONGEST_LINE = 10_000  # characters of an edge
DEEPEST = 100  # brackets of GML inside one another


@dataclass
class Network:
    """One network.

    Attributes:
        nodes: what is said of each node, by name.
        edges: rows from and to.
        of_edges: what is said of each edge.
        facts: what is said of the whole, as text.
    """

    nodes: list[dict[str, object]]
    edges: list[tuple[int, int]] = field(default_factory=list)
    of_edges: list[dict[str, object]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def read(file: str) -> list[Network]:
    """The networks of a file.

    Raises:
        Unreadable: where there is none, and why.
    """
    ending = Path(file).suffix.lower()
    try:
        if Path(file).stat().st_size > LARGEST:
            raise Unreadable(f"has more than {LARGEST / 2**30:.0f} GiB")
        content = Path(file).read_bytes()
    except OSError as why:
        raise Unreadable(f"cannot be opened: {why.strerror}") from why
    if not content.strip():
        raise Unreadable("is empty")
    if ending in LISTS:
        return [_edges(content.decode("utf-8", "replace"))]
    if ending == ".json":
        return list(_json(content))
    return [_by_networkx(content, ending)]


def _edges(text: str) -> Network:
    """Lines of two names and perhaps a weight, between blanks or commas; what follows # or % is a comment."""
    places: dict[str, int] = {}
    found = Network([])
    weighted = None
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            raise Unreadable(f"line {number} has {len(line):,} characters; an edge has two names and perhaps a weight")
        words = re.split(r"[#%]", line, maxsplit=1)[0].replace(",", " ").split()
        words = words[:2] if words[2:3] == ["{}"] else words  # as networkx writes edges without data
        if not words:
            continue
        if len(words) not in (2, 3):
            raise Unreadable(f"line {number} has {len(words)} words; an edge has two names and perhaps a weight")
        if weighted not in (None, len(words) == 3):
            raise Unreadable(f"line {number}: some edges have a weight and others none")
        weighted = len(words) == 3
        found.edges.append(tuple(places.setdefault(word, len(places)) for word in words[:2]))
        found.of_edges.append({"weight": _weight(words[2], number)} if weighted else {})
    found.nodes = [{} for _ in places]
    return found


def _weight(word: str, number: int) -> float:
    try:
        return float(word)
    except ValueError:
        raise Unreadable(f"line {number}: {word[:40]!r} is no weight") from None


def _json(content: bytes) -> Iterator[Network]:
    try:
        held = json.loads(content)
    except (ValueError, RecursionError) as why:
        raise Unreadable("is no JSON that can be read") from why
    for graph in held if isinstance(held, list) else [held]:
        if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list):
            raise Unreadable("holds no graph in node-link form: an object with nodes and links")
        yield _node_link(graph)


def _node_link(graph: dict) -> Network:
    """An object with ``nodes`` and ``links`` (or ``edges``), as networkx writes it and d3 reads it."""
    nodes, links = graph["nodes"], graph.get("links", graph.get("edges"))
    if not isinstance(links, list) or not all(isinstance(part, dict) for part in (*nodes, *links)):
        raise Unreadable("has nodes, but no list of links between them")
    places = {_key(node.get("id", i)): i for i, node in enumerate(nodes)}
    if len(places) < len(nodes):
        raise Unreadable("has two nodes of the same id")
    found = Network([_without(node, "id") for node in nodes], facts=_said(graph.get("graph")))
    for number, link in enumerate(links, 1):
        ends = [places.get(_key(link.get(end))) for end in ("source", "target")]
        if None in ends:
            raise Unreadable(f"link {number}: its {('source', 'target')[ends.index(None)]} is no node")
        found.edges.append(tuple(ends))
        found.of_edges.append(_without(link, "source", "target", "key"))
    return found


def _key(value: object) -> str:
    return json.dumps(value)[:1000]


def _without(held: Mapping[str, object], *names: str) -> dict[str, object]:
    return {str(name): value for name, value in held.items() if name not in names}


def _said(held: object) -> dict[str, str]:
    """What is one number or one word of what is said of a whole graph."""
    pairs = held.items() if isinstance(held, Mapping) else ()
    return {str(name): str(value) for name, value in pairs if isinstance(value, (str, int, float)) and str(value).strip()}


def _by_networkx(content: bytes, ending: str) -> Network:
    try:
        import networkx
    except ImportError as why:
        raise Unusable(f"reading {ending} needs the package networkx: pip install 'unveil[graph]'") from why
    try:
        if ending == ".graphml":
            _without_entities(content)
            graph = networkx.parse_graphml(content)
        else:
            text = content.decode("utf-8", "replace")
            _not_too_deep(text)
            graph = networkx.parse_gml(text, label=None)
    except Unreadable:
        raise
    except Exception as why:  # a damaged file can raise anything
        raise Unreadable(f"is no {ending[1:].replace('graphml', 'GraphML').replace('gml', 'GML')} that can be read") from why
    places = {node: i for i, node in enumerate(graph)}
    edges = list(graph.edges(data=True))
    name = ["label"] * (ending == ".gml")  # what GML calls a node
    return Network([_without(more, *name) for _, more in graph.nodes(data=True)], [(places[a], places[b]) for a, b, _ in edges],
                   [_without(more, "id") for _, _, more in edges], _said(graph.graph))


def _without_entities(content: bytes) -> None:
    """Refuses a document type: entities that it declares could unpack to any size, or name files of this machine."""
    parser = expat.ParserCreate()

    def refuse(*declared) -> None:
        raise Unreadable("declares a document type, which GraphML does not need and which is not read")
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as why:
        raise Unreadable(f"line {why.lineno}: {expat.errors.messages.get(why.code, 'is no XML')}") from why


def _not_too_deep(text: str) -> None:
    depth = 0
    for sign in re.findall(r'"[^"]*"|[\[\]]', text):
        depth += (sign == "[") - (sign == "]")
        if depth > DEEPEST:
            raise Unreadable(f"has more than {DEEPEST} brackets inside one another")


def number(value: object) -> float | None:
    """A value as a number; None where it is none."""
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None
