"""What is said of atoms without a network: composition, Coulomb spectrum, smoothed distances by pairs of elements.

All of it stays the same when a sample is moved, turned or mirrored and when its atoms are numbered otherwise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.atoms import SYMBOLS
from unveil.kinds.atoms.view import counted
from unveil.parts.neighbours import radius_graph

CUTOFF = 6.0  # angstrom
CENTRES = 16  # of the smoothed distances
EIGENVALUES = 32
LARGEST = 96  # atoms up to which there is a Coulomb spectrum
BOHR = 0.529177210903


def composition(batch: Batch) -> Tensor:
    """Atoms of each element ``(B, 118)``."""
    number = batch.values[:, 0].round().long().clamp(1, len(SYMBOLS)) - 1
    at = batch.graph.sample * len(SYMBOLS) + number
    counts = torch.zeros(len(batch) * len(SYMBOLS), device=batch.values.device).index_add_(0, at, batch.there.float())
    return counts.view(len(batch), -1)


def repeats(batch: Batch) -> Tensor:
    """Bool ``(B, 1)``, which samples have a cell."""
    cell = batch.graph.cell
    return torch.zeros(len(batch), 1, dtype=torch.bool, device=batch.ids.device) if cell is None else (cell != 0).flatten(1).any(1)[:, None]


def sizes(batch: Batch, elements: list[int]) -> Tensor:
    """Number of atoms, volume an atom (0 of open samples), and counts ``(B, K + 3)`` of some elements and of all others; in a cell, which
    could as well be twice as large, counts are shares."""
    many = counted(batch)[:, None].clamp_min(1)
    whole, cell = composition(batch), batch.graph.cell
    some = whole[:, [number - 1 for number in elements]]
    counts = torch.cat([some, whole.sum(1, keepdim=True) - some.sum(1, keepdim=True)], 1)
    volume = torch.zeros_like(many) if cell is None else torch.linalg.det(cell.double()).abs().float()[:, None] / many
    return torch.cat([torch.where(repeats(batch), 0, many), volume, torch.where(repeats(batch), counts / many, counts)], 1)


def spectrum(batch: Batch) -> Tensor:
    """The greatest eigenvalues ``(B, 32)`` of the Coulomb matrix by absolute value, in hartree (Rupp et al. 2012, arXiv 1109.2618); zeros
    in a cell, of which it says nothing, and of more than 96 atoms."""
    graph = batch.graph
    longest = min(graph.longest, LARGEST)
    many = torch.zeros(len(batch), dtype=torch.long, device=batch.ids.device).index_add_(0, graph.sample, torch.ones_like(graph.sample))
    fits = batch.there & ((many <= LARGEST) & ~repeats(batch)[:, 0])[graph.sample]
    at = graph.sample * longest + graph.place.clamp_max(longest - 1)
    dense = lambda x: x.new_zeros(len(batch) * longest, x.shape[1]).index_add_(0, at, x * fits[:, None]).view(len(batch), longest, -1)
    charge, where = dense(batch.values.double()), dense(batch.where.double() / BOHR)
    own = torch.eye(longest, dtype=torch.bool, device=at.device)
    apart = torch.where(own, 1.0, (where[:, :, None] - where[:, None]).square().sum(-1)).clamp_min(1e-4).sqrt()
    matrix = torch.where(own, 0.5 * charge.clamp_min(1e-30) ** 2.4, charge * charge.mT / apart)
    found = torch.linalg.eigvalsh(matrix)
    found = found.gather(1, found.abs().argsort(dim=1, descending=True, stable=True))[:, :EIGENVALUES]
    return torch.nn.functional.pad(found, (0, EIGENVALUES - found.shape[1])).float()


def distances(batch: Batch, elements: list[int]) -> Tensor:
    """Smoothed histograms of the distances up to 6 angstrom for each pair of some elements and all others ``(B, pairs * 16)``: sums over
    pairs that fade out at the cutoff (radial symmetry functions, Behler and Parrinello 2007); an atom's share where the sample repeats."""
    classes = torch.full((len(SYMBOLS) + 1,), len(elements), dtype=torch.long)
    classes[elements] = torch.arange(len(elements))
    mine = classes.to(batch.ids.device)[batch.values[:, 0].round().long().clamp(0, len(SYMBOLS))]
    (come, to), vectors = radius_graph(batch.where, batch.graph, CUTOFF, valid=batch.valid)
    low, high = torch.minimum(mine[come], mine[to]), torch.maximum(mine[come], mine[to])
    pairs = (len(elements) + 1) * (len(elements) + 2) // 2
    at = batch.graph.sample[to] * pairs + high * (high + 1) // 2 + low
    apart = vectors.double().norm(dim=1, keepdim=True)
    centre = torch.linspace(0.8, CUTOFF - 0.2, CENTRES, dtype=apart.dtype, device=apart.device)
    width = float(centre[1] - centre[0])
    bell = (-0.5 * ((apart - centre) / width).square()).exp() - 0.01  # a tail of 1e-9 would count as much as any, standardised
    smooth = bell.clamp_min(0) * (0.5 + 0.5 * (math.pi * apart / CUTOFF).cos()) / 2
    summed = smooth.new_zeros(len(batch) * pairs, CENTRES).index_add_(0, at, smooth).view(len(batch), -1)
    return torch.where(repeats(batch), summed / counted(batch)[:, None].clamp_min(1), summed).float()
