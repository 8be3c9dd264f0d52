"""Corruptions of graphs. Rows and edges stay where they are: what is lost is not valid. The severities are ours."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.kinds.graph.view import edge_keys, edges_there, only, per_sample, without_edges
from unveil.randomness import Generator

LEVELS = {
    "edges": (0.05, 0.1, 0.2, 0.35, 0.5),  # share of the edges that are lost
    "rewired": (0.05, 0.1, 0.2, 0.35, 0.5),  # share of the edges that lead from one of their nodes to another of the graph instead
    "nodes": (0.05, 0.1, 0.2, 0.35, 0.5),  # share of the nodes that are lost, each by itself; never the last one
    "masked": (0.1, 0.2, 0.35, 0.5, 0.7),  # share of the nodes whose features read as their mean over the data
    "noise": (0.1, 0.25, 0.5, 1.0, 2.0),  # deviation of white noise over that of a feature over the data
}


def corrupted(batch: Batch, name: str, severity: int, rest: Tensor | None, spread: Tensor | None, generator: Generator) -> Tensor | Batch:
    """New values, or a new batch, at a severity of 1 to 5. ``rest`` and ``spread (C)`` are mean and deviation of the features over the
    data; 0 and 1 where these are None."""
    level, x = LEVELS[name][severity - 1], batch.values
    if name == "edges":
        return without_edges(batch, level, generator)
    if name == "rewired":
        return rewired(batch, level, generator)
    draws = generator.uniform(1, keys=batch.row_keys)
    if name == "nodes":
        order = batch.graph.ranks(2.0 * ~batch.there - draws[:, 0])  # the one that would go last of all stays
        return only(batch, batch.there & ((draws[:, 0] >= level) | (order == 0)))
    if name == "masked":
        return torch.where(draws < level, x.new_zeros(()) if rest is None else rest.to(x), x)
    noise = generator.normal(x.shape[1], keys=batch.row_keys)
    return x + level * noise * (1 if spread is None else spread.to(x))


def rewired(batch: Batch, share: float, generator: Generator) -> Batch:
    """A share of the edges goes from its row of lower number to another row of the graph, drawn at random, in both directions."""
    graph, keys, valid = batch.graph, edge_keys(batch), batch.there
    low = graph.edges.amin(0)
    moved = (generator.uniform(1, keys=keys)[:, 0] < share) & edges_there(graph)
    order = graph.ranks(graph.place + (~valid) * len(valid))
    sizes = torch.zeros(graph.count, dtype=torch.long, device=low.device).index_add_(0, graph.sample, torch.ones_like(graph.sample))
    first = (sizes.cumsum(0) - sizes)[graph.sample]
    row_of = torch.empty_like(order).scatter_(0, first + order, torch.arange(len(order), device=low.device))
    others = (per_sample(graph, valid.long()) - 1)[graph.sample[low]]
    to = (generator.uniform(1, keys=keys)[:, 0] * others).long().clamp_max((others - 1).clamp_min(0))
    to = to + ((to >= order[low]) & (others > 0))
    end = row_of[first[low] + to]
    ahead = graph.edges[0] <= graph.edges[1]
    edges = torch.where(moved, torch.stack([torch.where(ahead, low, end), torch.where(ahead, end, low)]), graph.edges)
    return replace(batch, graph=replace(graph, edges=edges))
