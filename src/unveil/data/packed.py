"""Graphs and clouds of atoms in memory, laid end to end: a batch is gathered by index, without a loop over samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable
from unveil.tokens import Graph


def usable(records: Records, checked: Callable[[Structure], Structure]) -> tuple[dict[int, Structure], dict[str, str]]:
    """What ``checked`` makes of each record, by its number, and what was set aside, name -> reason."""
    found, faults = {}, {}
    for i, name in enumerate(records.names):
        try:
            found[i] = checked(records.load(i))
        except Unreadable as why:
            faults[name] = str(why)
    return found, faults


def none_left(records: Records, faults: dict[str, str], what: str) -> Unusable:
    """Says why no record of a source is left."""
    reasons = "; ".join(f"{name}: {why}" for name, why in list(faults.items())[:3])
    return Unusable(f"none of the {len(records)} {what} can be used. {reasons}" if len(records) else f"there are no {what}")


@dataclass
class Structure:
    """One graph, or one cloud of atoms, as it was read.

    Attributes:
        values: ``(n, C)`` float32, what is known of each row: features of a node, or the atomic number.
        edges: ``(2, E)`` int64, rows from and to; an undirected edge stands there both ways. None for a bare cloud.
        edge_values: ``(E, F)`` float32.
        where: ``(n, axes)`` float32, places of the rows.
        cell: ``(3, 3)``, vectors of a periodic cell as rows, zeros along an open axis; None where nothing repeats.
        code: ``(n, P)`` float32, where a row stands in its graph.
        parent: ``(n,)`` int64: the row of ``coarser`` that each row is part of.
        coarser: the same sample with fewer rows, which has no values of its own.
        forces: on each row, as they stand in the source, sound or not: a label, which no batch holds. None where the source has none.
    """

    values: np.ndarray
    edges: np.ndarray | None = None
    edge_values: np.ndarray | None = None
    where: np.ndarray | None = None
    cell: np.ndarray | None = None
    code: np.ndarray | None = None
    parent: np.ndarray | None = None
    coarser: Structure | None = None
    forces: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)


class Packed:
    """Fetch of :class:`unveil.data.samples.Samples` for structures that all hold the same parts.

    Args:
        structures: at least one.

    Attributes:
        sizes: rows of each, int64 ``(n,)``.
        edge_channels: numbers that are known of an edge.
        code_channels: numbers that say where a row stands.
    """

    def __init__(self, structures: Sequence[Structure]):
        first = structures[0]
        joined = lambda of, axis=0: None if of(first) is None else torch.from_numpy(np.concatenate([of(s) for s in structures], axis))
        self.values, self.where, self.code = joined(lambda s: s.values), joined(lambda s: s.where), joined(lambda s: s.code)
        self.edges, self.edge_values = joined(lambda s: s.edges, 1), joined(lambda s: s.edge_values)
        self.cell = None if not any(s.cell is not None for s in structures) else torch.from_numpy(
            np.stack([np.zeros((3, 3), np.float32) if s.cell is None else np.float32(s.cell) for s in structures]))
        self.sizes, self.start = _spans([len(s) for s in structures])
        self.many, self.first = (None, None) if self.edges is None else _spans([s.edges.shape[1] for s in structures])
        self.parent = joined(lambda s: s.parent)
        self.coarser = None if first.coarser is None else Packed([s.coarser for s in structures])
        self.edge_channels = 0 if self.edge_values is None else self.edge_values.shape[1]
        self.code_channels = max(0 if self.code is None else self.code.shape[1], self.coarser.code_channels if self.coarser else 0)

    def __call__(self, ids: Tensor) -> Batch:
        graph, rows = self.graph(ids)
        return Batch(self.values[rows], ids, ids, graph=graph, where=None if self.where is None else self.where[rows])

    def rows(self, ids: Tensor) -> Tensor:
        """Rows ``(sum N)`` in the whole of the samples ``ids``."""
        return _gather(self.sizes[ids], self.start[ids])[0]

    def graph(self, ids: Tensor) -> tuple[Graph, Tensor]:
        """What hangs together in the samples ``ids``, and their rows ``(sum N)`` in the whole."""
        rows, sample, begin = _gather(self.sizes[ids], self.start[ids])
        graph = Graph(sample, len(ids), int(self.sizes[ids].max()), code=None if self.code is None else self.code[rows],
                      cell=None if self.cell is None else self.cell[ids], sizes=tuple(self.sizes[ids].tolist()))
        if self.edges is not None:
            at, owner, _ = _gather(self.many[ids], self.first[ids])
            graph.edges = self.edges[:, at] + begin[owner]
            graph.edge_values = None if self.edge_values is None else self.edge_values[at]
        if self.coarser is not None:
            graph.coarser, _ = self.coarser.graph(ids)
            sizes = self.coarser.sizes[ids]
            graph.parent = self.parent[rows] + (sizes.cumsum(0) - sizes)[sample]
        return graph, rows


def _spans(counts: list[int]) -> tuple[Tensor, Tensor]:
    """Counts, and where each span begins."""
    sizes = torch.tensor(counts, dtype=torch.long)
    return sizes, sizes.cumsum(0) - sizes


def _gather(sizes: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Places in the whole of spans laid end to end, whose span each is, and where each span then begins."""
    total, begin = int(sizes.sum()), sizes.cumsum(0) - sizes
    owner = torch.repeat_interleave(sizes, output_size=total)
    return torch.arange(total) - begin[owner] + start[owner], owner, begin
