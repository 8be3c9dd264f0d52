"""Records to graphs: what cannot be used is named and set aside."""

from __future__ import annotations

from collections import Counter

import numpy as np

from unveil.data.packed import Structure, none_left, usable
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable


def read(records: Records, most: int) -> tuple[list[Structure], np.ndarray, dict[str, str]]:
    """Graphs that fit each other, their numbers among the records, and what was set aside.

    Args:
        records: that load :class:`unveil.data.packed.Structure`.
        most: degrees above this are counted as this, where the nodes of all graphs are without features.

    Raises:
        Unusable: where none is left.
    """
    found, faults = usable(records, checked)
    usual = Counter(map(_looks, found.values())).most_common(1)
    for i in [i for i, structure in found.items() if _looks(structure) != usual[0][0]]:
        (nodes, edges), (most_nodes, most_edges) = _looks(found.pop(i)), usual[0][0]
        faults[records.names[i]] = (f"its nodes have {nodes} features, those of the others {most_nodes}" if nodes != most_nodes else
                                    f"its edges have {edges} features, those of the others {most_edges}")
    if not found:
        raise none_left(records, faults, "graphs")
    graphs = list(found.values())
    if not usual[0][0][0]:
        graphs = [Structure(degree_features(graph, most), graph.edges, graph.edge_values) for graph in graphs]
    return graphs, np.fromiter(found, np.int64, len(found)), faults


def checked(graph: Structure) -> Structure:
    """The nodes and edges of a graph as they are packed.

    Raises:
        Unreadable: where it is no graph, has no nodes, or names what does not exist.
        Unusable: where the source holds no graphs at all.
    """
    if not isinstance(graph, Structure):
        raise Unusable(f"these are not graphs but arrays of {'x'.join(map(str, np.shape(graph)))} values: choose another --kind")
    values = np.asarray(graph.values, np.float32)
    if values.ndim != 2:
        raise Unreadable(f"its node features have {values.ndim} axes; they must have two, nodes and features")
    if not len(values):
        raise Unreadable("has no nodes")
    if graph.edges is None:
        raise Unreadable("has no edges, only points: its kind may be atoms")
    finite = np.isfinite(values).all(1)
    if not finite.all():
        raise Unreadable(f"{int((~finite).sum())} of its {len(values)} nodes have features that are not finite; the first is node "
                         f"{int((~finite).argmax())}")
    edges = np.asarray(graph.edges, np.int64).reshape(2, -1)
    outside = (edges < 0) | (edges >= len(values))
    if outside.any():
        raise Unreadable(f"an edge names node {int(edges[outside][0])}; its {len(values)} nodes are numbered from 0")
    more = None if graph.edge_values is None else np.asarray(graph.edge_values, np.float32)
    more = more[:, None] if more is not None and more.ndim == 1 else more
    if more is not None and len(more) != edges.shape[1]:
        raise Unreadable(f"has {edges.shape[1]} edges, but features of {len(more)}")
    if more is not None and not np.isfinite(more).all():
        raise Unreadable(f"{int((~np.isfinite(more)).any(1).sum())} of its {len(more)} edges have features that are not finite")
    return Structure(values, edges, more)


def degree_features(graph: Structure, most: int) -> np.ndarray:
    """One-hot ``(n, most + 1)`` of the number of neighbours: what nodes without features of their own are told apart by."""
    degree = np.bincount(graph.edges[1], minlength=len(graph)).clip(max=most)
    return np.eye(most + 1, dtype=np.float32)[degree]


def _looks(graph: Structure) -> tuple[int, int]:
    """Features of a node and of an edge."""
    return graph.values.shape[1], 0 if graph.edge_values is None else graph.edge_values.shape[1]
