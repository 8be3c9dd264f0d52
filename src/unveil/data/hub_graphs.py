"""Rows of a Hugging Face data set that are molecules or graphs: a column of SMILES, or ``edge_index`` with what nodes and edges carry."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from unveil.data.adjacency import both_ways
from unveil.data.collect import wanted
from unveil.data.options import Options
from unveil.data.packed import Structure
from unveil.data.readers import molecules
from unveil.data.records import Records, Unreadable
from unveil.data.sources import Source
from unveil.errors import Unusable

EDGES, NODES, OF_EDGES, COUNT, ANSWER = "edge_index", ("node_feat", "x"), ("edge_attr", "edge_feat"), "num_nodes", "y"


def holds(features: Mapping[str, Any]) -> str | None:
    """The column that makes rows molecules or graphs; None where there is none, or pictures stand beside it."""
    if any(type(feature).__name__ == "Image" for feature in features.values()):
        return None
    graphs = EDGES in features and (COUNT in features or any(name in features for name in NODES))
    return EDGES if graphs else smiles(features)


def smiles(features: Mapping[str, Any]) -> str | None:
    """The column of SMILES of a set that holds no graphs."""
    if EDGES in features:
        return None
    return next((name for name, feature in features.items() if name.lower() == "smiles" and getattr(feature, "dtype", "") in
                 ("string", "large_string")), None)


def read(splits: Mapping[str, Any], options: Options, path: str, words: Callable[[Any, str], list[str]]) -> Records:
    """Records of all rows; ``words`` says what a column says of each row of a split.

    Raises:
        Unusable: where the options name what is not there.
    """
    first = next(iter(splits.values())).features
    test = np.concatenate([np.full(len(rows), name == "test") for name, rows in splits.items()])
    column = smiles(first)
    if column is None:
        return _graphs(splits, options, path, test)
    single = [name for name, feature in first.items() if type(feature).__name__ in ("Value", "ClassLabel") and name != column]
    keep = wanted(options)
    sources = [Source(f"{path} {split}", np.arange(len(rows)), words(rows, column), words={
        name: words(rows, name) for name in single if keep(name)}, columns=single) for split, rows in splits.items()]
    known = lambda source, i: f"{source.file}[{i}]"
    return molecules.records(sources, options, path, test if test.any() and not test.all() else None, known)


def _graphs(splits: Mapping[str, Any], options: Options, path: str, test: np.ndarray) -> Records:
    """Records of rows with ``edge_index``; what stands in ``y`` are classes where all are whole numbers, else numbers to predict."""
    features = next(iter(splits.values())).features
    nodes = next((name for name in NODES if name in features), None)
    of_edges = next((name for name in OF_EDGES if name in features), None)
    if (options.groups and not options.made) or (options.labels not in (None, ANSWER) and not options.label_file):
        raise Unusable(f"{path} holds graphs with the columns {', '.join(features)}: leave out --groups, and --labels other than y")
    if options.targets not in (None, ANSWER) and not options.target_file:
        raise Unusable(f"{path} holds graphs with the columns {', '.join(features)}: numbers to predict can be --targets y")
    columns = [name for name in (EDGES, nodes, of_edges, COUNT) if name in features]
    parts = [rows.select_columns(columns).with_format("numpy") for rows in splits.values()]
    starts = [0, *accumulate(map(len, parts))]

    def load(i: int) -> Structure:
        part = bisect_right(starts, i) - 1
        try:
            row = parts[part][i - starts[part]]
        except Exception as why:  # a damaged file can raise anything
            raise Unreadable("is damaged, or not of the type that its column says") from why
        return _graph(row, nodes, of_edges)

    label, target, notes = _answers(splits, options)
    names = [f"{path} {name}[{i}]" for name, rows in splits.items() for i in range(len(rows))]
    return Records(names, load, layout="graph", labels=label, targets=target, notes=notes,
                   test=test if test.any() and not test.all() else None)


def _graph(row: Mapping[str, Any], nodes: str | None, of_edges: str | None) -> Structure:
    edges = _table(row[EDGES], EDGES).astype(np.int64) if np.size(row[EDGES]) else np.empty((2, 0), np.int64)
    values = _table(row[nodes], nodes) if nodes and np.size(row[nodes]) else None
    count = len(values) if values is not None else int(np.max(row.get(COUNT, 0)))
    if count < 1:
        raise Unreadable("has no nodes")
    if len(edges) != 2:
        raise Unreadable(f"its {EDGES} has {len(edges)} rows; there must be two, from and to")
    if edges.size and not 0 <= edges.min() <= edges.max() < count:
        raise Unreadable(f"its {EDGES} speaks of a node that is not among its {count}")
    known = _table(row[of_edges], of_edges) if of_edges and np.size(row[of_edges]) else None
    if known is None and of_edges and not edges.size:
        raise Unreadable("has no edges, so nobody knows how many numbers an edge carries")
    if known is not None and len(known) != edges.shape[1]:
        raise Unreadable(f"has {edges.shape[1]} edges and {len(known)} rows of {of_edges}")
    edges, known, _ = both_ways(edges, known, count)
    return Structure(np.empty((count, 0), np.float32) if values is None else values, edges, known)


def _table(value: Any, name: str) -> np.ndarray:
    """Rows of numbers, float32; a list of them is a column."""
    try:
        held = np.stack([np.asarray(row, np.float64) for row in value]) if np.asarray(value, object).ndim == 1 and isinstance(
            value[0], np.ndarray) else np.asarray(value, np.float64)
    except (TypeError, ValueError) as why:
        raise Unreadable(f"its {name} is no table of numbers") from why
    held = held[:, None] if held.ndim == 1 and name != EDGES else held
    if held.ndim != 2 or not np.isfinite(held).all():
        raise Unreadable(f"its {name} is no table of finite numbers")
    return held if name == EDGES else held.astype(np.float32)


def _answers(splits: Mapping[str, Any], options: Options) -> tuple[np.ndarray | None, np.ndarray | None, list[str]]:
    """Labels, targets and notes of the column ``y``."""
    if not all(ANSWER in rows.features for rows in splits.values()):
        return None, None, []
    held = [np.ravel(np.asarray(value, np.float64)) if value is not None else np.empty(0) for rows in splits.values()
            for value in rows[ANSWER][:]]
    notes = ["y holds several numbers a graph, the first is taken"] if any(len(value) > 1 for value in held) else []
    first = np.array([value[0] if len(value) else np.nan for value in held])
    found = first[np.isfinite(first)]
    if not len(found):
        return None, None, notes
    if options.targets == ANSWER or (found % 1).any():
        return None, first, notes
    return np.array([f"{value:.0f}" if np.isfinite(value) else "" for value in first]), None, notes
