"""Views of graphs: fewer nodes, fewer edges, other features. Rows and edges stay where they are; what is left out is not valid."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.randomness import Generator
from unveil.tokens import Graph

HOPS = 16  # how far a piece grows from where it starts
FAR = 64.0  # later than any node within HOPS is reached
PAIR = 0x2545F4914F6CDD1D  # odd, so that no two pairs of rows are likely to share a key


def per_sample(graph: Graph, x: Tensor) -> Tensor:
    """Sums of ``x (sum N)`` over the rows of each sample ``(B)``."""
    return x.new_zeros(graph.count).index_add_(0, graph.sample, x)


def edge_keys(batch: Batch) -> Tensor:
    """``(E)`` int64: what draws for an edge are keyed by, the same for both its directions and in any batch."""
    ends = batch.row_keys[batch.graph.edges]
    return ends.amin(0) * PAIR + ends.amax(0)


def edges_there(graph: Graph) -> Tensor:
    """Bool ``(E)``: edges that no view took away."""
    return torch.ones_like(graph.edges[0], dtype=torch.bool) if graph.edge_valid is None else graph.edge_valid


def kept_nodes(batch: Batch, area: tuple[float, float], generator: Generator) -> Batch:
    """A share of the nodes of each graph, drawn uniformly from ``area``.

    A graph that keeps at least half of its nodes loses the others at random (the node drop of You et al. 2020, arXiv 2010.13902). A
    smaller part is a connected piece (their subgraph): edges get lengths drawn from an exponential distribution, and the piece is what lies
    nearest to a random node. Where that node's component, or what is within 16 edges of it, is too small, it goes on from another node.
    """
    graph, rows, valid = batch.graph, batch.row_keys, batch.there
    share = generator.uniform(1, keys=batch.keys, low=area[0], high=area[1])[:, 0]
    some = generator.uniform(1, keys=batch.keys)[:, 0]
    start = graph.ranks(generator.uniform(1, keys=rows)[:, 0] + (~valid).float())
    first = start.float()
    if area[0] < 0.5:
        length = -(1 - generator.uniform(1, keys=edge_keys(batch))[:, 0]).log()
        length = torch.where(edges_there(graph), length, torch.inf)
        reached = FAR * first
        for _ in range(HOPS):
            reached = reached.scatter_reduce(0, graph.edges[1], reached[graph.edges[0]] + length, "amin")
        first = torch.where(share[graph.sample] < 0.5, reached, first)
    many = (share * per_sample(graph, valid.float()) + some).floor().clamp_min(1)
    return only(batch, valid & (graph.ranks(torch.where(valid, first, torch.inf)) < many[graph.sample]))


def only(batch: Batch, valid: Tensor) -> Batch:
    """The batch without the rows that are not ``valid (sum N)``, and without their edges."""
    return replace(batch, values=batch.values * valid[:, None], valid=valid, graph=_edges_of(batch.graph, valid, edges_there(batch.graph)))


def without_edges(batch: Batch, share: float, generator: Generator) -> Batch:
    """The batch without a share of the edges, each drawn by itself and gone in both directions."""
    graph = batch.graph
    left = generator.uniform(1, keys=edge_keys(batch))[:, 0] >= share
    return replace(batch, graph=replace(graph, edge_valid=left & edges_there(graph)))


def _edges_of(graph: Graph, valid: Tensor, edges: Tensor) -> Graph:
    """With edges between valid rows alone, at every level: a coarser row is there as long as one of its parts is."""
    coarser = graph.coarser
    if coarser is not None:
        alive = valid.long().new_zeros(len(coarser.sample)).index_add_(0, graph.parent, valid.long()) > 0
        coarser = _edges_of(coarser, alive, edges_there(coarser))
    return replace(graph, edge_valid=edges & valid[graph.edges].all(0), coarser=coarser)


def other_features(batch: Batch, share: float, rest: Tensor | None, spread: Tensor | None, generator: Generator) -> Batch:
    """A share of the nodes with random features: about ``rest (C)`` with the deviation ``spread (C)``, that is mean and deviation over
    the data; where these are not known, zeros."""
    rows, x = batch.row_keys, batch.values
    gone = generator.uniform(1, keys=rows) < share
    noise = torch.zeros_like(x) if rest is None else rest.to(x) + spread.to(x) * generator.normal(x.shape[1], keys=rows)
    return replace(batch, values=torch.where(gone & batch.there[:, None], noise, x))
