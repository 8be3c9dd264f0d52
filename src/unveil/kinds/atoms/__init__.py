"""Atoms: molecules and crystals, each a cloud of atoms at places in angstrom."""

from __future__ import annotations

from torch import Tensor

from unveil.contracts import Batch
from unveil.data.samples import Samples
from unveil.kinds.atoms import planted
from unveil.kinds.atoms.view import near, only, shaken, turned
from unveil.kinds.kind import Kind
from unveil.randomness import Generator


class Atoms(Kind):
    """Clouds of atoms, open or periodic: molecules, crystals, proteins.

    Args:
        mirror: a mirror image means the same, so views may use it; not where the hand of a molecule is what counts.
    """

    name = "atoms"
    offers = frozenset({"places"})
    encoder = "equivariant"
    method = "scd"

    def __init__(self, *, mirror: bool = True):
        self.mirror = mirror

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {}

    def view(self, batch: Batch, count: int, *, area: tuple[float, float], size: float, strength: float, symmetry: bool,
             generator: Generator) -> list[Batch]:
        """Clouds turned and mirrored; shaken by 0.04 angstrom at strength 1; and, of ``area``, the share of the atoms that are nearest to a
        random one. Atoms have no grid that could be coarser, so ``size`` changes nothing."""
        return [self._one_view(batch, area, strength, symmetry, generator) for _ in range(count)]

    def _one_view(self, batch: Batch, area: tuple[float, float], strength: float, symmetry: bool, generator: Generator) -> Batch:
        if tuple(area) != (1.0, 1.0):
            share = generator.uniform(1, keys=batch.keys, low=area[0], high=area[1])[:, 0]
            batch = only(batch, near(batch, share, generator))
        if symmetry:
            batch = turned(batch, self.mirror, generator)
        return shaken(batch, 0.04 * strength, generator) if strength > 0 else batch

    def planted(self, count: int, generator: Generator) -> Samples:
        return planted.planted(count, generator)
