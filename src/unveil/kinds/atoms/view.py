"""Views of clouds of atoms: turned, mirrored, shaken, and fewer. Rows stay where they are; an atom that is left out is not valid."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.parts.neighbours import axes_of
from unveil.randomness import Generator
from unveil.tokens import Graph


def counted(batch: Batch) -> Tensor:
    """Atoms of each sample ``(B)`` that are there."""
    return torch.zeros(len(batch), device=batch.values.device).index_add_(0, batch.graph.sample, batch.there.float())


def only(batch: Batch, valid: Tensor) -> Batch:
    """The batch without the atoms that are not ``valid (sum N)``."""
    return replace(batch, values=batch.values * valid[:, None], valid=valid)


def moved(batch: Batch, map_: Tensor) -> Batch:
    """Places and cells under linear maps ``(B, 3, 3)``, one a sample, that act on columns."""
    graph = batch.graph
    where = (map_[graph.sample] @ batch.where[..., None])[..., 0]
    cell = None if graph.cell is None else graph.cell @ map_.mT
    return replace(batch, where=where, graph=replace(graph, cell=cell))


def turned(batch: Batch, mirror: bool, generator: Generator) -> Batch:
    """Each sample turned about the origin, all directions being equally likely, and one of two mirrored, as is its cell."""
    turn = rotations(generator.normal(4, keys=batch.keys))
    if mirror:
        turn = turn * (1 - 2 * generator.integers(0, 2, 1, 1, keys=batch.keys))
    return moved(batch, turn)


def rotations(q: Tensor) -> Tensor:
    """Rotation matrices ``(B, 3, 3)`` of quaternions ``(B, 4)`` of any length; normal ones give all rotations alike."""
    w, x, y, z = (q / q.norm(dim=-1, keepdim=True).clamp_min(1e-12)).unbind(-1)
    return torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
                        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1).view(-1, 3, 3)


def shaken(batch: Batch, deviation: float, generator: Generator) -> Batch:
    """Every atom moved by normal noise of ``deviation`` in angstrom."""
    noise = deviation * generator.normal(3, keys=batch.row_keys)
    return replace(batch, where=batch.where + noise * batch.there[:, None])


def near(batch: Batch, share: Tensor, generator: Generator) -> Tensor:
    """Bool ``(sum N)``: the ``share (B)`` of a sample's atoms that are nearest to a random one, at least that one; a fraction of an atom is
    drawn. In a periodic cell the nearest image counts, which in skew cells is nearly so."""
    graph, valid = batch.graph, batch.there
    many = counted(batch)
    draws = generator.uniform(2, keys=batch.keys)
    number = graph.ranks((~valid).float())
    chosen = valid & (number == (draws[:, 0] * many).floor()[graph.sample])
    centre = torch.zeros(len(batch), 3, device=batch.where.device).index_add_(0, graph.sample, batch.where * chosen[:, None])
    apart = batch.where - centre[graph.sample]
    if graph.cell is not None:
        apart = nearest_image(apart, graph)
    order = graph.ranks(torch.where(valid, apart.square().sum(-1), torch.inf))
    kept = (share * many + draws[:, 1]).floor().clamp_min(1)
    return valid & (order < kept[graph.sample])


def nearest_image(apart: Tensor, graph: Graph) -> Tensor:
    """Differences of places ``(sum N, 3)``, each less the lattice vector that lies nearest to it along the cell's axes."""
    axes, repeats = axes_of(graph.cell.double())
    share = (apart[:, None] @ torch.linalg.inv_ex(axes)[0].to(apart)[graph.sample])[:, 0]
    periods = torch.where(repeats[graph.sample], share.round(), 0)
    return apart - (periods[:, None] @ graph.cell.to(apart)[graph.sample])[:, 0]
