"""Shares, neighbours and pools of packed rows, of each sample by itself: a sample is masked alike whatever batch it is in."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from unveil.contracts import ROWS
from unveil.randomness import Generator
from unveil.tokens import Graph, pool


def row_keys(keys: Tensor, graph: Graph) -> Tensor:
    """What draws for the rows of a level are keyed by, ``(sum N)``; ``keys (B,)`` are those of the samples."""
    return keys[graph.sample] * ROWS + graph.place


def counted(among: Tensor, graph: Graph) -> Tensor:
    """``(count,)`` int64: of how many rows of each sample ``among (sum N)`` is true."""
    return torch.zeros(graph.count, dtype=torch.long, device=among.device).index_add_(0, graph.sample, among.long())


def _starts(graph: Graph) -> Tensor:
    """``(count,)``: the first row of each sample."""
    sizes = counted(torch.ones_like(graph.sample), graph)
    return sizes.cumsum(0) - sizes


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
    score = generator.uniform(1, keys=row_keys(keys, graph))[:, 0].masked_fill(~among, 1.0)
    order = (2.0 * graph.sample + score.double()).argsort(stable=True)
    rank = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order), device=order.device)) - _starts(graph)[graph.sample]
    return among & (rank < quota[graph.sample])


def random_row(among: Tensor, graph: Graph, generator: Generator, keys: Tensor) -> Tensor:
    """For every row a random one of its own sample for which ``among`` is true, ``(sum N)`` int64; it may be the row itself."""
    order = (2 * graph.sample + (~among).long()).argsort(stable=True)
    many = counted(among, graph)[graph.sample]
    number = (generator.uniform(1, keys=row_keys(keys, graph))[:, 0] * many).long().minimum((many - 1).clamp_min(0))
    return order[_starts(graph)[graph.sample] + number]


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
