"""Samples that are nearly the same: found by an outline that does not change under a shift, verified on their values."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.tokens import Graph

REACH = 1 / 8  # of a side: the longest shift that is undone


def outlines(values: Tensor, about: int = 128) -> Tensor:
    """Magnitudes of the lowest frequencies of each channel, scaled to length 1 over all of them.

    A cyclic shift, an offset and a gain change nothing; noise, which lies mostly in high frequencies, and a change of resolution
    change little.

    Args:
        values: ``(B, C, *grid)``, channels of comparable deviation.
        about: roughly how many magnitudes.

    Returns:
        ``(B, F)``; zeros for a constant sample.
    """
    axes = tuple(range(2, values.dim()))
    found = torch.fft.rfftn(values - values.mean(axes, keepdim=True), dim=axes).abs()
    low = max(2, round((about / values.shape[1] / 2 ** (len(axes) - 1)) ** (1 / len(axes))))
    for axis in axes[:-1]:
        if (size := found.shape[axis]) > 2 * low:
            found = torch.cat([found.narrow(axis, 0, low), found.narrow(axis, size - low, low)], axis)
    return F.normalize(found[..., :low].flatten(1), dim=1)


def most_alike(found: Tensor, sources: Tensor, count: int, *, rows: Tensor | None = None,
               tick: Callable[[int, int], None] = lambda done, total: None, block: tuple[int, int] = (2048, 8192)) -> tuple[Tensor, Tensor]:
    """The most similar samples of other sources, by blocked matrix product: memory does not grow with the number of pairs.

    Args:
        found: outlines ``(n, F)``.
        sources: int64 ``(n,)``; samples of one source are never compared.
        count: how many for each.
        rows: for which samples, ascending positions; None for all.
        tick: told how many rows are done, of how many.
        block: rows and columns of a block.

    Returns:
        cosines ``(rows, count)``, -1 where there are no more, and positions ``(rows, count)``.
    """
    order = sources.argsort(stable=True)
    mine = order if rows is None else order[torch.isin(order, rows)]
    x, y, source = found[mine], found[order], sources[order]
    first = torch.searchsorted(source, sources[mine])
    last = torch.searchsorted(source, sources[mine], right=True)
    best = found.new_full((len(mine), count), -1.0)
    at = torch.zeros(len(mine), count, dtype=torch.int64)
    held = found.new_empty(block[0] * block[1])
    for top in range(0, len(mine), block[0]):
        here = slice(top, top + block[0])
        for left in range(0, len(y), block[1]):
            part = y[left:left + block[1]]
            tile = torch.mm(x[here], part.T, out=held[:len(x[here]) * len(part)].view(-1, len(part)))
            _hide_own(tile, first[here] - left, last[here] - left)
            value, place = tile.topk(min(count, len(part)), 1)
            value, chosen = torch.cat([best[here], value], 1).topk(count, 1)
            best[here], at[here] = value, torch.cat([at[here], order[place + left]], 1).gather(1, chosen)
        tick(min(top + block[0], len(mine)), len(mine))
    back = mine.argsort()
    return best[back], at[back]


def _hide_own(tile: Tensor, first: Tensor, last: Tensor) -> None:
    """Writes -1 where a row's own source lies: columns ``first (R,)`` to ``last (R,)``, ascending."""
    width = tile.shape[1]
    inside = ((first < width) & (last > 0)).nonzero()[:, 0]
    starts, lengths = first[inside].unique_consecutive(return_counts=True)
    row = 0
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        its = inside[row:row + length]
        tile[int(its[0]):int(its[-1]) + 1, max(0, start):max(0, int(last[its[0]]))] = -1.0
        row += length


def difference(a: Tensor, b: Tensor, seen: tuple[Tensor, Tensor] | None = None, reach: float = REACH) -> Tensor:
    """What of a sample another does not explain.

    The other is shifted to where it fits best, by at most ``reach`` of each side, and fitted by one gain and an offset a channel,
    over the values that both have.

    Args:
        a: ``(P, C, *grid)``.
        b: the others, shaped alike.
        seen: two bool ``(P, *grid)``: where each is measured; None says everywhere.
        reach: share of a side.

    Returns:
        ``(P,)``, 1 - r squared, with r the correlation: 0 for a copy, 1 where nothing agrees.
    """
    axes, shape = tuple(range(2, a.dim())), a.shape[2:]
    centred = [x - x.mean(axes, keepdim=True) for x in (a, b)]
    one, other = (torch.fft.rfftn(x, dim=axes) for x in centred)
    fit = torch.fft.irfftn((one * other.conj()).sum(1), s=shape, dim=tuple(range(1, len(shape) + 1)))
    near = fit.new_ones((1, *shape), dtype=torch.bool)
    places = []
    for i, size in enumerate(shape):
        place = torch.arange(size).view([-1 if j == i else 1 for j in range(len(shape))])
        places.append(torch.where(place > size // 2, place - size, place).expand(shape).flatten())
        near = near & (torch.minimum(place, size - place) <= max(1, int(size * reach)))
    best = fit.masked_fill(~near, -torch.inf).flatten(1).argmax(1)
    inside, there = seen or (a.new_ones((len(a), *shape), dtype=torch.bool),) * 2
    for i, size in enumerate(shape):
        line = [-1 if j == i else 1 for j in range(len(shape))]
        index = torch.arange(size) - places[i][best][:, None]
        inside = inside & ((index >= 0) & (index < size)).view(len(a), *line)
        index = (index % size).view(len(a), *line)
        b, there = b.gather(i + 2, index[:, None].expand_as(b)), there.gather(i + 1, index.expand_as(there))
    weight = (inside & there)[:, None].to(a)
    weight = weight / weight.sum(axes, keepdim=True).clamp_min(1)
    a, b = (weight.sqrt() * (x - (weight * x).sum(axes, keepdim=True)) for x in (a, b))
    r = (a * b).flatten(1).sum(1) / (a.flatten(1).norm(dim=1) * b.flatten(1).norm(dim=1)).clamp_min(1e-12)
    return 1 - r.clamp(0, 1).square()


def unordered(values: Tensor, graph: Graph, where: Tensor | None = None, rounds: int = 8) -> Tensor:
    """A number for each packed sample that the order of its rows, turning and shifting it do not change, equal for equal samples.

    Colours of rows are refined over edges (Weisfeiler and Leman 1968): begun from a row's values and its distances to the others of its
    sample, each takes in those of its neighbours ``rounds`` times. Graphs that this cannot tell apart, such as a ring of six and two rings
    of three with equal nodes, are rare among samples with values.

    Args:
        values: ``(sum N, C)``.
        graph: of them.
        where: places ``(sum N, axes)``, compared to a hundredth.
        rounds: how far a row sees.

    Returns:
        int64 ``(count,)``.
    """
    colour = _numbered(values)
    if where is not None:
        colour = _mixed(colour + _distances(where, graph))
    if graph.edges is not None:
        begin, end = graph.edges
        edge = 0 if graph.edge_values is None else _numbered(graph.edge_values)
        for _ in range(rounds):
            colour = _mixed(3 * colour + torch.zeros_like(colour).index_add_(0, end, _mixed(colour[begin] + edge)))
    whole = torch.zeros(graph.count, dtype=torch.int64).index_add_(0, graph.sample, _mixed(colour))
    return whole if graph.cell is None else whole + _numbered((100 * graph.cell.flatten(1)).round())


def _mixed(x: Tensor) -> Tensor:
    """A number that says nothing of ``x`` but whether it is equal."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        x = (x ^ (x >> shift)) * factor
    return x ^ (x >> 31)


def _numbered(values: Tensor) -> Tensor:
    """One number for the floats of each row."""
    held = (values.float() + 0.0).contiguous().view(torch.int32).long()  # + 0.0: minus zero is zero
    return _mixed(held * 0x1000003 + torch.arange(held.shape[1]) * 0x5BD1E995).sum(1)


def _distances(where: Tensor, graph: Graph) -> Tensor:
    """One number for a row's distances to the other rows of its sample; to their middle alone in samples of more than 2,000."""
    found = []
    for place in where.split(torch.bincount(graph.sample, minlength=graph.count).tolist()):
        to = place if len(place) <= 2000 else place.mean(0, keepdim=True)
        found.append(_mixed((100 * torch.cdist(place.double(), to.double())).round().long()).sum(1))
    return torch.cat(found)


def clusters(pairs: Tensor, count: int) -> list[list[int]]:
    """Samples that pairs ``(P, 2)`` of ``count`` samples tie together, the largest cluster first."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    pairs = pairs.cpu().numpy()
    joined = connected_components(coo_matrix(([True] * len(pairs), (pairs[:, 0], pairs[:, 1])), shape=(count, count)), directed=False)[1]
    held: dict[int, list[int]] = {}
    for at in sorted(set(pairs.flatten().tolist())):
        held.setdefault(int(joined[at]), []).append(at)
    return sorted(held.values(), key=len, reverse=True)
