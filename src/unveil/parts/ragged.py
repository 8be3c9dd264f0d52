"""Shares, neighbours and pools of packed rows, of each sample by itself: a sample is masked alike whatever batch it is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.randomness import Generator
from unveil.tokens import Graph, pool


def counted(among: Tensor, graph: Graph) -> Tensor:
    """``(count,)`` int64: of how many rows of each sample ``among (sum N)`` is true."""
    return torch.zeros(graph.count, dtype=torch.long, device=among.device).index_add_(0, graph.sample, among.long())


def random_share(among: Tensor, share: float, graph: Graph, generator: Generator, keys: Tensor) -> Tensor:
    """A random share of the rows of each sample for which ``among`` is true.

    Of n rows ``share * n`` are taken, rounded up or down at random so that this is right on average.

    Args:
        among: bool ``(sum N)``.
        share: in [0, 1].
        graph: whose each row is.
        generator: of the draws.
        keys: of the samples, ``(B,)``.

    Returns:
        bool ``(sum N)``.
    """
    quota = (share * counted(among, graph) + generator.uniform(1, keys=keys)[:, 0]).floor()
    return random_rows(among, quota, graph, generator, keys)


def random_rows(among: Tensor, quota: Tensor, graph: Graph, generator: Generator, keys: Tensor) -> Tensor:
    """Of each sample as many random rows as ``quota (count,)`` says, or all that there are for which ``among (sum N)`` is true, as bool
    ``(sum N)``."""
    score = generator.uniform(1, keys=graph.row_keys(keys))[:, 0].masked_fill(~among, 1.0)
    return among & (graph.ranks(score) < quota[graph.sample])


def random_row(among: Tensor, graph: Graph, generator: Generator, keys: Tensor) -> Tensor:
    """For every row a random one of its own sample for which ``among`` is true, ``(sum N)`` int64; it may be the row itself."""
    order = (2 * graph.sample + (~among).long()).argsort(stable=True)
    many = counted(among, graph)[graph.sample]
    number = (generator.uniform(1, keys=graph.row_keys(keys))[:, 0] * many).long().minimum((many - 1).clamp_min(0))
    return order[graph.first[graph.sample] + number]


def coarsened(x: Tensor, valid: Tensor | None, graph: Graph) -> tuple[Tensor, Tensor | None]:
    """Sums over the rows that each row of the next level is made of, and which of those rows have any left."""
    rows = len(graph.coarser.sample)
    if valid is not None:
        x = x * valid[:, None]
    total = x.new_zeros(rows, x.shape[1]).index_add(0, graph.parent, x)
    if valid is None:
        return total, None
    return total, torch.zeros(rows, dtype=torch.long, device=x.device).index_add_(0, graph.parent, valid.long()) > 0


def pooled(x: Tensor, valid: Tensor | None, graph: Graph, how: Literal["mean", "sum", "max"]) -> Tensor:
    """Of each sample the mean, sum or greatest value over its rows, ``(count, D)``; zeros for a sample without a valid row."""
    if how == "mean":
        return pool(x, valid, graph.sample, graph.count)
    if how == "sum":
        part = x if valid is None else x * valid[:, None]
        return x.new_zeros(graph.count, x.shape[1]).index_add(0, graph.sample, part)
    part = x if valid is None else x.masked_fill(~valid[:, None], float("-inf"))
    most = x.new_full((graph.count, x.shape[1]), float("-inf")).scatter_reduce(0, graph.sample[:, None].expand_as(x), part, "amax")
    return most.masked_fill(most == float("-inf"), 0.0)


def chosen(views: Sequence[Batch], choice: Tensor) -> Batch:
    """Of each sample the view that ``choice (B,)`` numbers. The views are of the same packed samples and have the same rows and edges."""
    graph = views[0].graph
    of_row = choice[graph.sample]
    of_edge = of_row[graph.edges[0]] if graph.edges is not None else None
    pick = lambda parts, at: torch.stack(parts)[at, torch.arange(len(at), device=at.device)]
    whole = lambda part, like: torch.ones_like(like, dtype=torch.bool) if part is None else part
    known = [name for name in ("values", "where") if getattr(views[0], name) is not None]
    changed = {name: pick([getattr(view, name) for view in views], of_row) for name in known}
    if of_edge is not None:
        graph = replace(graph, edge_valid=pick([whole(view.graph.edge_valid, of_edge) for view in views], of_edge))
        if graph.edge_values is not None:
            graph.edge_values = pick([view.graph.edge_values for view in views], of_edge)
    return replace(views[0], **changed, valid=pick([whole(view.valid, of_row) for view in views], of_row), graph=graph)
