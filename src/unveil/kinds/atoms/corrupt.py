"""Corruptions of clouds of atoms. The severities are ours; lengths are in angstrom."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.atoms import SYMBOLS
from unveil.kinds.atoms.view import counted, moved, near, only, shaken
from unveil.randomness import Generator

LEVELS = {
    "heat": (0.02, 0.05, 0.1, 0.2, 0.35),  # deviation of each coordinate: up to 0.1 is what atoms do at room temperature
    "hydrogens": (0.2, 0.4, 0.6, 0.8, 1.0),  # share of the hydrogens that were not seen, as in X-ray structures
    "vacancies": (0.05, 0.1, 0.2, 0.35, 0.5),  # share of the atoms that are missing, never all
    "elements": (0.05, 0.1, 0.2, 0.35, 0.5),  # share of the atoms that are taken for an element next to theirs
    "strain": (0.01, 0.02, 0.04, 0.08, 0.15),  # deviation of each component of a strain of the whole, cell and atoms
    "shift": (0.2, 0.4, 0.8, 1.5, 3.0),  # length by which the half of the atoms about a random one is displaced
}


def corrupted(batch: Batch, name: str, severity: int, generator: Generator) -> Batch:
    """The batch at a severity of 1 to 5."""
    return {"heat": shaken, "hydrogens": _hydrogens, "vacancies": _vacancies, "elements": _elements, "strain": _strain,
            "shift": _shift}[name](batch, LEVELS[name][severity - 1], generator)


def _some(batch: Batch, among: Tensor, share: float, generator: Generator) -> Tensor:
    """Bool ``(sum N)``: the share of the rows of each sample that are ``among``, at least one where there are any."""
    graph = batch.graph
    many = torch.zeros(len(batch), device=among.device).index_add_(0, graph.sample, among.float())
    wanted = torch.maximum((share * many).round(), (many > 0).float())
    order = graph.ranks(torch.where(among, generator.uniform(1, keys=batch.row_keys)[:, 0], torch.inf))
    return among & (order < wanted[graph.sample])


def _hydrogens(batch: Batch, level: float, generator: Generator) -> Batch:
    """A sample of hydrogen alone keeps what it has."""
    hydrogen = batch.there & (batch.values[:, 0] == 1)
    others = torch.zeros(len(batch), device=hydrogen.device).index_add_(0, batch.graph.sample, (batch.there & ~hydrogen).float())
    return only(batch, batch.there & ~_some(batch, hydrogen & (others > 0)[batch.graph.sample], level, generator))


def _vacancies(batch: Batch, level: float, generator: Generator) -> Batch:
    several = (counted(batch) > 1)[batch.graph.sample]
    return only(batch, batch.there & ~_some(batch, batch.there & several, level, generator))


def _elements(batch: Batch, level: float, generator: Generator) -> Batch:
    wrong = _some(batch, batch.there, level, generator)
    step = 2.0 * generator.integers(0, 2, 1, keys=batch.row_keys) - 1
    step = torch.where(batch.values <= 1, 1.0, torch.where(batch.values >= len(SYMBOLS), -1.0, step))
    return replace(batch, values=batch.values + step * wrong[:, None])


def _strain(batch: Batch, level: float, generator: Generator) -> Batch:
    strain = level * generator.normal(3, 3, keys=batch.keys).clamp(-2, 2)
    unit = torch.eye(3, device=strain.device)
    return moved(batch, unit + (strain + strain.mT) / 2)


def _shift(batch: Batch, level: float, generator: Generator) -> Batch:
    half = near(batch, torch.full((len(batch),), 0.5, device=batch.values.device), generator)
    way = generator.normal(3, keys=batch.keys)
    way = way / way.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return replace(batch, where=batch.where + level * way[batch.graph.sample] * half[:, None])
