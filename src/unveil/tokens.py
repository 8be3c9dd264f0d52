"""Tokens: what every encoder eats, whatever kind of data they came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

ROWS = 1 << 24  # more rows than a packed sample has: keys of rows never meet


@dataclass
class Graph:
    """How packed rows hang together. The rows of a sample lie together, in the order of the samples.

    Attributes:
        sample: ``(sum N)`` int64, ascending: whose row it is.
        count: number of samples.
        longest: at least the rows of the longest sample; whoever collates knows it, so nothing waits for it.
        edges: ``(2, E)`` int64, rows from and to, both of one sample; an undirected edge stands there both ways. None for bare clouds.
        edge_values: ``(E, F)`` float32, what is known of each edge.
        edge_valid: bool ``(E)``, False for an edge that a view took away. None says all are there.
        cell: ``(count, 3, 3)``, the vectors of a periodic cell as rows, in the unit of the places; a row of zeros along an open axis.
        code: ``(sum N, P)``, where a row stands in its graph: random-walk return probabilities.
        parent: ``(sum N)``: the row of ``coarser`` that a row is part of.
        coarser: the same samples with fewer rows.
        sizes: rows of each sample, as numbers that the host knows without waiting; None where nobody said.
    """

    sample: Tensor
    count: int
    longest: int
    edges: Tensor | None = None
    edge_values: Tensor | None = None
    edge_valid: Tensor | None = None
    cell: Tensor | None = None
    code: Tensor | None = None
    parent: Tensor | None = None
    coarser: Graph | None = None
    sizes: tuple[int, ...] | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> Graph:
        """The same with ``change(tensor)`` for every tensor in it."""
        changed = {name: change(x) for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **changed, coarser=self.coarser and self.coarser.map(change))

    @property
    def first(self) -> Tensor:
        """``(count,)`` int64: the first row of each sample."""
        sizes = torch.zeros(self.count, dtype=torch.long, device=self.sample.device).index_add_(
            0, self.sample, torch.ones_like(self.sample))
        return sizes.cumsum(0) - sizes

    @property
    def place(self) -> Tensor:
        """``(sum N)`` int64: number of a row within its sample."""
        return torch.arange(len(self.sample), device=self.sample.device) - self.first[self.sample]

    def row_keys(self, keys: Tensor) -> Tensor:
        """``(sum N)`` int64: what draws for a row are keyed by, whatever batch its sample is in; ``keys (count,)`` are the samples'."""
        return keys[self.sample] * ROWS + self.place

    def ranks(self, x: Tensor) -> Tensor:
        """Place ``(sum N)`` of every row within its sample when rows go by ``x (sum N)``, smallest first, of equal ones the first."""
        order = x.argsort(stable=True)
        order = order[self.sample[order].argsort(stable=True)]
        return torch.empty_like(order).scatter_(0, order, self.place)

    def take(self, index: Tensor) -> Graph:
        """The rows at ``index (M,)``, ascending. Edges and coarser levels speak of all rows, so they are left out."""
        return Graph(self.sample[index], self.count, self.longest, cell=self.cell, code=None if self.code is None else self.code[index])

    def one(self, number: int) -> Graph:
        """The graph of one sample. It waits for the device."""
        rows = (self.sample == number).nonzero()[:, 0]
        first = int(rows[0]) if len(rows) else 0
        own = None if self.edges is None else (self.sample[self.edges[0]] == number).nonzero()[:, 0]
        pick = lambda x, at: None if x is None else x[at]
        above = self.coarser and self.coarser.one(number)
        start = int((self.coarser.sample < number).sum()) if above else 0
        return Graph(self.sample[rows] - number, 1, len(rows), None if own is None else self.edges[:, own] - first,
                     pick(self.edge_values, own), pick(self.edge_valid, own), None if self.cell is None else self.cell[number:number + 1],
                     pick(self.code, rows), self.parent[rows] - start if above else None, above, (len(rows),))

    @staticmethod
    def cat(graphs: Sequence[Graph]) -> Graph:
        """Graphs with the same parts known, one after the other."""
        first = graphs[0]
        rows = [0, *accumulate(len(graph.sample) for graph in graphs)]
        samples = [0, *accumulate(graph.count for graph in graphs)]
        joined = {name: torch.cat([getattr(graph, name) for graph in graphs])
                  for name in ("edge_values", "edge_valid", "cell", "code") if getattr(first, name) is not None}
        shifted = lambda name, by, axis=0: None if getattr(first, name) is None else torch.cat(
            [getattr(graph, name) + shift for graph, shift in zip(graphs, by)], axis)
        coarser = None if first.coarser is None else Graph.cat([graph.coarser for graph in graphs])
        above = None if coarser is None else [0, *accumulate(len(graph.coarser.sample) for graph in graphs)]
        return Graph(shifted("sample", samples), samples[-1], max(graph.longest for graph in graphs), shifted("edges", rows, 1), **joined,
                     parent=None if above is None else shifted("parent", above), coarser=coarser,
                     sizes=None if any(graph.sizes is None for graph in graphs) else sum((graph.sizes for graph in graphs), ()))


@dataclass
class Tokens:
    """Vectors with places.

    Dense tokens have equal counts: ``values (B, N, D)``. Packed tokens are ragged and laid end to end: ``values (sum N, D)``, and
    ``graph`` says whose they are.

    Attributes:
        values: dense ``(B, N, D)`` or packed ``(sum N, D)``.
        where: coordinates ``(B, N, A)`` or ``(sum N, A)`` in the source's own units (seconds, base patches, angstrom).
        valid: bool ``(B, N)``; False where a token covers no measured value. None says all are.
        grid: static shape of the token grid, or None. Mask samplers need it.
        raw: the values that each token covers, ``(B, N, P)``: the target of pixel-type losses.
        lead: ``(B, L, D)`` tokens without a place, such as a class token; they go before the others and are never dropped.
        graph: packed only: whose each row is, and what hangs together.
        mixing: of encoders that mix channels by Q queries ``(B, N, Q, C)``, how much of each channel each query took.
        span: ``(B, N, 2)`` where along the first axis each token begins and ends, in the unit of ``where``, for tokens of unequal length.
        core: bool ``(B, N)``: tokens at which most happens, of encoders that look for it.
    """

    values: Tensor
    where: Tensor
    valid: Tensor | None = None
    grid: tuple[int, ...] | None = None
    raw: Tensor | None = None
    lead: Tensor | None = None
    graph: Graph | None = None
    mixing: Tensor | None = None
    span: Tensor | None = None
    core: Tensor | None = None

    @property
    def packed(self) -> bool:
        return self.graph is not None

    def take(self, index: Tensor) -> Tokens:
        """The tokens at ``index``: ``(B, K)`` per row for dense tokens, flat ``(M,)`` for packed ones. The rest is dropped."""
        pick = (lambda x: x[index]) if self.packed else (lambda x: take(x, index))
        kept = {name: pick(x) for name in ("values", "where", "valid", "raw", "span", "core") if (x := getattr(self, name)) is not None}
        return replace(self, **kept, grid=None, mixing=None, graph=self.graph and self.graph.take(index))


def take(x: Tensor, index: Tensor) -> Tensor:
    """Rows of each sample: ``x (B, N, ...)``, ``index (B, K)`` -> ``(B, K, ...)``."""
    shape = index.shape + x.shape[2:]
    return x.gather(1, index.view(index.shape + (1,) * (x.dim() - 2)).expand(shape))


def pool(values: Tensor, valid: Tensor | None = None, sample: Tensor | None = None, count: int | None = None) -> Tensor:
    """Mean over the tokens of each sample, dense or packed; a sample without a valid token gives zeros.

    Returns:
        ``(B, D)``.
    """
    if sample is None:
        if valid is None:
            return values.mean(1)
        weight = valid.to(values.dtype)[..., None]
        return (values * weight).sum(1) / weight.sum(1).clamp_min(1)
    weight = torch.ones_like(values[:, :1]) if valid is None else valid.to(values.dtype)[:, None]
    total = values.new_zeros(count, values.shape[1]).index_add_(0, sample, values * weight)
    return total / values.new_zeros(count, 1).index_add_(0, sample, weight).clamp_min(1)


def to_dense(values: Tensor, sample: Tensor, count: int, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Packed ``(sum N, D)`` -> dense ``(count, longest, D)``, its bool mask ``(count, longest)`` and the flat place
    ``(sum N)`` of every row, with which ``dense.flatten(0, 1)[place]`` packs again."""
    sizes = torch.zeros(count, dtype=torch.long, device=sample.device).index_add_(0, sample, torch.ones_like(sample))
    starts = sizes.cumsum(0) - sizes
    place = sample * longest + torch.arange(len(sample), device=sample.device) - starts[sample]
    dense = values.new_zeros(count * longest, values.shape[-1]).index_copy(0, place, values)
    mask = torch.arange(longest, device=sample.device) < sizes[:, None]
    return dense.view(count, longest, -1), mask, place
