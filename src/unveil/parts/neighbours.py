"""Which atoms are near each other: edges within a radius, open or periodic, for many systems at once.

Small open systems compare every row with every row of its sample; larger ones, and periodic ones, are sorted into bins at least as wide
as the radius, so that cost grows with the atoms and not with their square. Both ways give the same edges in the same order with the
same bits, so a system has the same edges alone and in any batch.

How many edges there are is known by looking alone: this is the one part of a step that waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unveil.tokens import Graph

SMALL = 96  # rows of the longest open sample up to which all pairs are compared
ROOM = 1 << 22  # pairs that are looked at in one piece
MOST_BINS = 1 << 14  # along an axis; systems that are wider get wider bins


def radius_graph(where: Tensor, graph: Graph, cutoff: float, most: int | None = None, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Pairs of rows of one sample that are less than ``cutoff`` apart, in both directions.

    With a periodic cell every image of a row counts, its own images too, as often as they are in reach. A row is no neighbour of itself.
    Edges stand in the order of the row they lead to, then of the row they come from, then of the image.

    Args:
        where: ``(sum N, 3)`` places; rows need not lie inside the cell.
        graph: whose rows they are, and their cells.
        cutoff: in the unit of the places.
        most: of each row only so many nearest neighbours lead to it (of equally near ones the first); None for all. The graph is then
            not the same in both directions.
        valid: bool ``(sum N)``, False for rows that have and are no neighbours.

    Returns:
        ``edges (2, E)`` int64, from and to; ``vectors (E, 3)``, place of the first (of its image) minus place of the second, with the
        gradient of ``where`` and ``graph.cell``.
    """
    there = torch.ones_like(graph.sample, dtype=torch.bool) if valid is None else valid
    if graph.cell is None and graph.longest <= SMALL:
        edges, vectors = _all_pairs(where, graph, cutoff, there)
    else:
        edges, vectors = _binned(where, graph, cutoff, there)
    return (edges, vectors) if most is None else _nearest(edges, vectors, most, len(where))


def _all_pairs(where: Tensor, graph: Graph, cutoff: float, there: Tensor) -> tuple[Tensor, Tensor]:
    rows = torch.arange(len(where), device=where.device)
    first = rows - graph.place
    other = first[:, None] + torch.arange(graph.longest, device=where.device)
    inside = other < len(where)
    other = other.clamp_max(max(len(where) - 1, 0))
    apart = (where.detach()[other] - where.detach()[:, None]).square().sum(-1)
    near = inside & (graph.sample[other] == graph.sample[:, None]) & (other != rows[:, None]) & (apart < cutoff * cutoff)
    to, column = (near & there[:, None] & there[other]).nonzero(as_tuple=True)
    come = first[to] + column
    return torch.stack([come, to]), where[come] - where[to]


def _binned(where: Tensor, graph: Graph, cutoff: float, there: Tensor) -> tuple[Tensor, Tensor]:
    bins = _Bins(where, graph, cutoff, there)
    found = [bins.near(begin, end) for begin, end in bins.pieces()]
    to, come, image = (torch.cat(parts) for parts in zip(*found, strict=True))
    order = (to * len(where) + come).argsort(stable=True)  # images of a pair already stand in their order
    to, come, image = to[order], come[order], image[order]
    return torch.stack([come, to]), _vectors(where, graph, to, come, image)


def _vectors(where: Tensor, graph: Graph, to: Tensor, come: Tensor, image: Tensor) -> Tensor:
    if graph.cell is None:
        return where[come] - where[to]
    moved = (image.to(where)[:, :, None] * graph.cell.to(where)[graph.sample[to]]).sum(1)
    return where[come] + moved - where[to]


class _Bins:
    """Rows sorted into bins, sample by sample.

    A sample has three axes: those of its cell, made up to three by directions at right angles where it is open. Along each, bins are
    at least as wide as the radius, except where a period is narrower: there one bin is left, and several periods are looked at.
    """

    def __init__(self, where: Tensor, graph: Graph, cutoff: float, there: Tensor):
        self.where, self.graph, self.cutoff = where, graph, cutoff
        sample, count, place = graph.sample, graph.count, where.detach().double()
        axes, self.periodic = _axes(graph, place)
        inverse = torch.linalg.inv_ex(axes)[0]
        share = (place[:, None] @ inverse[sample])[:, 0]  # in units of the axes
        self.wrapped = torch.where(self.periodic[sample], share.floor(), 0.0)
        share = share - self.wrapped
        low, high = (torch.zeros(count, 3, dtype=share.dtype, device=share.device).scatter_reduce_(
            0, sample[:, None].expand(-1, 3), share, how, include_self=False) for how in ("amin", "amax"))
        height = 1 / inverse.norm(dim=1)  # between the planes that a unit of an axis lies between
        width = torch.where(self.periodic, height, (high - low) * height)
        reach = cutoff * (1 + 1e-6) + 1e-6 * (1 + place.abs().amax() * torch.finfo(where.dtype).eps)
        self.number = (width / reach).floor().clamp(1, MOST_BINS)
        at = torch.where(self.periodic[sample], share, (share - low[sample]) / (high - low).clamp_min(1e-30)[sample])
        self.at = (at * self.number[sample]).floor().clamp_min(0).minimum(self.number[sample] - 1).long()
        self.number = self.number.long()
        span = torch.where(self.periodic, (reach * self.number / width).ceil().long(), 1)
        most = span.amax(0).tolist()
        self.steps = torch.cartesian_prod(*(torch.arange(-m, m + 1, device=where.device) for m in most))
        self.span = span
        total = self.number.prod(1)
        self.first = total.cumsum(0) - total
        ids = torch.where(there, self._id(self.at, sample), -1)
        self.ids, self.order = ids.sort(stable=True)
        self.there = there

    def _id(self, at: Tensor, sample: Tensor) -> Tensor:
        number = self.number[sample]
        return self.first[sample] + (at[..., 0] * number[..., 1] + at[..., 1]) * number[..., 2] + at[..., 2]

    def pieces(self) -> list[tuple[int, int]]:
        """Spans of rows whose neighbouring bins are looked at together: as many as there is room for."""
        rows = max(1, ROOM // (8 * len(self.steps)))
        return [(begin, min(begin + rows, len(self.where))) for begin in range(0, max(len(self.where), 1), rows)]

    def near(self, begin: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of the rows from ``begin`` to ``end``: whom an edge leads to, where it comes from, and its image ``(E, 3)``."""
        sample = self.graph.sample[begin:end]
        at = self.at[begin:end, None] + self.steps  # (rows, steps, 3)
        number, periodic = self.number[sample][:, None], self.periodic[sample][:, None]
        image = torch.where(periodic, at.div(number, rounding_mode="floor"), 0)
        at = at - image * number
        looked = ((at >= 0) & (at < number) & (self.steps.abs() <= self.span[sample][:, None])).all(-1) & self.there[begin:end, None]
        ids = torch.where(looked, self._id(at, sample[:, None].expand(at.shape[:2])), -2).flatten()
        low = torch.searchsorted(self.ids, ids)
        many = torch.searchsorted(self.ids, ids, right=True) - low
        owner = torch.repeat_interleave(many)
        start = many.cumsum(0) - many
        come = self.order[low[owner] + torch.arange(len(owner), device=owner.device) - start[owner]]
        to = begin + owner // len(self.steps)
        image = image.flatten(0, 1)[owner] - self.wrapped[come].long() + self.wrapped[to].long()
        apart = _vectors(self.where.detach(), self.graph, to, come, image).square().sum(-1)
        near = (apart < self.cutoff * self.cutoff) & ((to != come) | image.any(-1))
        return to[near], come[near], image[near]


def _axes(graph: Graph, place: Tensor) -> tuple[Tensor, Tensor]:
    """Of each sample three axes as rows ``(B, 3, 3)``, and which of them repeat ``(B, 3)``."""
    unit = torch.eye(3, dtype=place.dtype, device=place.device)
    if graph.cell is None:
        return unit.expand(graph.count, 3, 3), torch.zeros(graph.count, 3, dtype=torch.bool, device=place.device)
    cell = graph.cell.detach().double()
    periodic = (cell != 0).any(-1)
    return torch.where(periodic[..., None], cell, completed(cell)), periodic


def completed(cell: Tensor) -> Tensor:
    """Directions ``(B, 3, 3)`` of length 1 for the open axes of cells ``(B, 3, 3)``, at right angles to the axes that repeat and to one
    another; rows of axes that repeat are theirs, of any length."""
    rows = list(cell.unbind(1))
    open_ = [(row == 0).all(-1, keepdim=True) for row in rows]
    unit = torch.eye(3, dtype=cell.dtype, device=cell.device)
    for axis in range(3):
        one, two = rows[(axis + 1) % 3], rows[(axis + 2) % 3]
        across = torch.linalg.cross(one, two)
        lone = torch.where((one == 0).all(-1, keepdim=True), two, one)
        helper = unit[lone.abs().argmin(-1)]  # the direction that is least along the axis which is there
        beside = torch.linalg.cross(lone, helper)
        none = (lone == 0).all(-1, keepdim=True)
        found = torch.where((across == 0).all(-1, keepdim=True), torch.where(none, unit[axis].expand_as(lone), beside), across)
        rows[axis] = torch.where(open_[axis], found / found.norm(dim=-1, keepdim=True).clamp_min(1e-30), rows[axis])
    return torch.stack(rows, 1)


def _nearest(edges: Tensor, vectors: Tensor, most: int, rows: int) -> tuple[Tensor, Tensor]:
    """Of each row the ``most`` shortest edges that lead to it; of equally long ones those that stand first."""
    by_length = vectors.detach().square().sum(-1).argsort(stable=True)
    order = by_length[edges[1][by_length].argsort(stable=True)]
    many = torch.zeros(rows, dtype=torch.long, device=edges.device).index_add_(0, edges[1], torch.ones_like(edges[1]))
    rank = torch.arange(edges.shape[1], device=edges.device) - (many.cumsum(0) - many)[edges[1][order]]
    kept = torch.zeros_like(rank, dtype=torch.bool).index_copy_(0, order, rank < most)
    return edges[:, kept], vectors[kept]
