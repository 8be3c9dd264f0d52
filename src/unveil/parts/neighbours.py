"""Which atoms are near each other: edges within a radius, open or periodic, for many systems at once.

Small systems compare every row with every row of its sample. Larger ones are sorted into bins at least as wide as the radius, so that cost
grows with the atoms and not with their square. Both ways give the same edges in the same order with the same bits, so a system has the same
edges alone and in any batch.

How many edges there are is known by looking alone: this is the one part of a step that waits for the device.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from unveil.tokens import Graph

SMALL = 96  # rows of the longest sample up to which all pairs are compared
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
    with torch.no_grad():
        to, come, image = (_all_pairs if graph.longest <= SMALL else _binned)(where.detach(), graph, cutoff, there)
    edges, vectors = torch.stack([come, to]), _vectors(where, graph, to, come, image)
    return (edges, vectors) if most is None else _nearest(edges, vectors, most, len(where))


def _vectors(where: Tensor, graph: Graph, to: Tensor, come: Tensor, image: Tensor | None) -> Tensor:
    if image is None:
        return where[come] - where[to]
    moved = (image.to(where)[:, :, None] * graph.cell.to(where)[graph.sample[to]]).sum(1)
    return where[come] + moved - where[to]


def _square(x: Tensor) -> Tensor:
    """Squared lengths of ``x (..., 3)``, by the same sums wherever they are asked for."""
    x = x.square()
    return x[..., 0] + x[..., 1] + x[..., 2]


def _within(where: Tensor, graph: Graph, cutoff: float, to: Tensor, come: Tensor, image: Tensor | None):
    """Those of some pairs that are edges."""
    near = _square(_vectors(where, graph, to, come, image)) < cutoff * cutoff
    near = near & ((to != come) if image is None else (to != come) | image.any(-1))
    index = near.nonzero()[:, 0]
    return to[index], come[index], None if image is None else image[index]


def _expanded(many: Tensor) -> tuple[Tensor, Tensor]:
    """Of ``many (Q)`` items each: whose each is, and its number among them."""
    owner = torch.repeat_interleave(many)
    return owner, torch.arange(len(owner), device=owner.device) - (many.cumsum(0) - many)[owner]


def _all_pairs(where: Tensor, graph: Graph, cutoff: float, there: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Every row beside every row of its sample, and each image that can be in reach."""
    rows, place = torch.arange(len(where), device=where.device), graph.place
    first = rows - place
    end = first + torch.zeros(graph.count, dtype=torch.long, device=where.device).index_add_(
        0, graph.sample, torch.ones_like(place))[graph.sample]
    other = first[:, None] + torch.arange(graph.longest, device=where.device)
    pair = (other < end[:, None]) & there[:, None]
    other = other.clamp_max(max(len(where) - 1, 0))
    pair = pair & there[other]
    if graph.cell is None:
        apart = sum((axis[other] - axis[:, None]).square() for axis in where.unbind(1))
        to, column = (pair & (other != rows[:, None]) & (apart < cutoff * cutoff)).nonzero(as_tuple=True)
        return to, first[to] + column, None
    space = _Space(where, graph, cutoff)
    span = torch.where(space.periodic, space.reach / space.height, 0.0)[graph.sample][:, None]
    between = torch.where(space.periodic[graph.sample][:, None], space.share[:, None] - space.share[other], 0.0)
    low = (between - span).ceil().long()
    sides = (between + span).floor().long() - low + 1
    many = (sides.clamp_min(0).prod(-1) * pair).flatten()
    owner, number = _expanded(many)
    low, sides = low.flatten(0, 1)[owner], sides.flatten(0, 1)[owner]
    steps = torch.stack([number // (sides[:, 1] * sides[:, 2]), number // sides[:, 2] % sides[:, 1], number % sides[:, 2]], 1)
    return _within(where, graph, cutoff, owner // graph.longest, other.flatten()[owner], low + steps)


class _Space:
    """Three axes a sample: those of its cell, made up to three by directions at right angles where it is open.

    Attributes:
        periodic: bool ``(B, 3)``, which axes repeat.
        height: ``(B, 3)``, between the planes that a unit of each axis lies between.
        share: ``(sum N, 3)``, places in units of the axes.
        reach: the radius and what rounding may add.
    """

    def __init__(self, where: Tensor, graph: Graph, cutoff: float):
        wide = where.double()
        cell = wide.new_zeros(graph.count, 3, 3) if graph.cell is None else graph.cell.detach().double()
        axes, self.periodic = axes_of(cell)
        inverse = torch.linalg.inv_ex(axes)[0]
        self.height = 1 / inverse.norm(dim=1)
        self.share = (wide[:, None] @ inverse[graph.sample])[:, 0]
        greatest = wide.abs().amax() if len(wide) else wide.new_zeros(())
        self.reach = cutoff * (1 + 1e-5) + 16 * torch.finfo(where.dtype).eps * greatest


def _binned(where: Tensor, graph: Graph, cutoff: float, there: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Rows sorted into bins; each looks into its own bin and those beside it, which along the last axis lie one after the other.

    Along each axis bins are at least as wide as the radius, except where a period is narrower: there one bin is left, and several
    periods are looked at.
    """
    space = _Space(where, graph, cutoff)
    sample, periodic = graph.sample, space.periodic
    wrapped = torch.where(periodic[sample], space.share.floor(), 0.0)
    share = space.share - wrapped
    low, high = (torch.zeros_like(space.height).scatter_reduce_(0, sample[:, None].expand(-1, 3), share, how, include_self=False)
                 for how in ("amin", "amax"))
    low, length = torch.where(periodic, 0.0, low), torch.where(periodic, 1.0, high - low)
    number = (length * space.height / space.reach).floor().clamp(1, MOST_BINS)
    at = ((share - low[sample]) / length.clamp_min(1e-30)[sample] * number[sample]).floor().clamp_min(0).minimum(number[sample] - 1).long()
    span = torch.where(periodic, (space.reach / space.height * number).ceil(), 1.0).long()
    number = number.long()
    total = number.prod(1)
    first = total.cumsum(0) - total
    line = lambda x, y, own: first[own] + (x * number[own, 1] + y) * number[own, 2]
    ids, order = torch.where(there, line(at[:, 0], at[:, 1], sample) + at[:, 2], -1).sort(stable=True)
    looked = _Looked(at, span, number, periodic, sample)
    begin = torch.searchsorted(ids, (looked.line(line) + looked.low).flatten())
    many = torch.searchsorted(ids, (looked.line(line) + looked.high).flatten(), right=True) - begin
    many = many * (looked.there & there[:, None]).flatten()
    return _pieces(where, graph, cutoff, space.reach, order, begin, many, looked.image, wrapped.long())


class _Looked:
    """The rows of bins along the last axis that each row looks into, all ``(sum N, Q)``: their place along the first two axes, the first
    and the last bin, and the period ``image (sum N, Q, 3)`` they are of."""

    def __init__(self, at: Tensor, span: Tensor, number: Tensor, periodic: Tensor, sample: Tensor):
        periods = torch.where(periodic, (span + number - 1).div(number, rounding_mode="floor"), 0)
        a, b, _ = span.amax(0).tolist()
        c = int(periods[:, 2].amax())
        steps = torch.cartesian_prod(*(torch.arange(-most, most + 1, device=at.device) for most in (a, b, c)))
        self.sample = sample[:, None].expand(-1, len(steps))
        count, mine = number[sample][:, None], periodic[sample][:, None]
        beside = at[:, None, :2] + steps[:, :2]
        image = torch.where(mine[..., :2], beside.div(count[..., :2], rounding_mode="floor"), 0)
        self.x, self.y = (beside - image * count[..., :2]).unbind(-1)
        period = steps[:, 2] * count[..., 2]
        reach = span[sample][:, None]
        self.low = (at[:, None, 2] - reach[..., 2] - period).clamp_min(0)
        self.high = (at[:, None, 2] + reach[..., 2] - period).minimum(count[..., 2] - 1)
        self.image = torch.cat([image, steps[:, 2:].expand(len(at), -1, 1)], -1)
        self.there = (self.low <= self.high) & (steps[:, :2].abs() <= reach[..., :2]).all(-1) & (mine[..., 2] | (steps[:, 2] == 0)) & \
            (self.x >= 0) & (self.x < count[..., 0]) & (self.y >= 0) & (self.y < count[..., 1])

    def line(self, of) -> Tensor:
        return of(self.x, self.y, self.sample)


def _pieces(where: Tensor, graph: Graph, cutoff: float, reach: Tensor, order: Tensor, begin: Tensor, many: Tensor, image: Tensor,
            wrapped: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Looks through the rows at ``order[begin : begin + many]``, piece by piece; ``begin`` and ``many (sum N * Q)``."""
    steps, cell = image.shape[1], graph.cell
    inside = where if cell is None else where - (wrapped.to(where)[:, :, None] * cell.detach().to(where)[graph.sample]).sum(1)
    ordered, found = inside[order], []
    ends = many.view(-1, steps).sum(1).cumsum(0).cpu()
    cuts = [0, *torch.searchsorted(ends, torch.arange(ROOM, max(int(ends[-1]), ROOM), ROOM)).unique().tolist(), len(where)]
    for start, end in pairwise(cuts):
        owner, number = _expanded(many[start * steps:end * steps])
        row, at = start + owner // steps, begin[start * steps:end * steps][owner] + number
        if cell is None:
            index = (_square(ordered[at] - inside[row]) < reach * reach).nonzero()[:, 0]
            found.append(_within(where, graph, cutoff, row[index], order[at[index]], None))
            continue
        periods = image[start:end].flatten(0, 1)
        moved = inside[start:end].repeat_interleave(steps, 0) - \
            (periods.to(where)[:, :, None] * cell.detach().to(where)[graph.sample[start:end].repeat_interleave(steps)]).sum(1)
        index = (_square(ordered[at] - moved[owner]) < reach * reach).nonzero()[:, 0]
        row, come = row[index], order[at[index]]
        found.append(_within(where, graph, cutoff, row, come, periods[owner[index]] - wrapped[come] + wrapped[row]))
    to, come = (torch.cat([part[i] for part in found]) for i in (0, 1))
    by_pair = (to * len(where) + come).argsort(stable=True)  # images of a pair already stand in their order
    return to[by_pair], come[by_pair], None if cell is None else torch.cat([part[2] for part in found])[by_pair]


def axes_of(cell: Tensor) -> tuple[Tensor, Tensor]:
    """Of cells ``(B, 3, 3)`` with zeros along open axes, three axes as rows ``(B, 3, 3)``, and which of them repeat ``(B, 3)``."""
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
