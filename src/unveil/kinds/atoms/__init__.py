"""Atoms: molecules and crystals, each a cloud of atoms at places in angstrom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.atoms import SYMBOLS, element
from unveil.data.packed import Packed
from unveil.data.records import Records, Unreadable
from unveil.data.samples import Samples, encode_labels
from unveil.errors import Unusable
from unveil.kinds.atoms.corrupt import LEVELS, corrupted
from unveil.kinds.atoms.describe import composition, distances, sizes, spectrum
from unveil.kinds.atoms.draw import drawing
from unveil.kinds.atoms.planted import shapes
from unveil.kinds.atoms.read import common, known_forces, read, told
from unveil.kinds.atoms.view import near, only, shaken, turned
from unveil.kinds.kind import Kind
from unveil.randomness import Generator

MOST = 6  # elements that statistics tell apart


class Atoms(Kind):
    """Clouds of atoms, open or periodic: molecules, crystals, proteins. A value is an atomic number, a place is in angstrom.

    Args:
        mirror: a mirror image means the same, so views may use it; not where the hand of a molecule is what counts.
        elements: symbols of those that :meth:`statistics` tells apart, such as ``"H C N O"``; None takes up to six that are the most
            common where data are opened.
    """

    name = "atoms"
    offers = frozenset({"places"})
    encoder = "equivariant"
    method = "scd"
    corruptions = tuple(LEVELS)
    light = {"area": (1.0, 1.0), "strength": 0.5}

    def __init__(self, *, mirror: bool = True, elements: str | None = None):
        self.mirror, self.elements = mirror, elements
        try:
            self.apart = [element(word) for word in (elements or "H C N O F").split()]
        except Unreadable as why:
            raise Unusable(f"kind.elements is {elements!r}: {why}. Give symbols with spaces between them, such as 'H C N O'") from None

    def open(self, records: Records) -> Samples:
        clouds, packed, at, faults = read(records)
        forces, said = known_forces(clouds, [records.names[i] for i in at])
        pick = lambda column: None if column is None else np.asarray(column)[at]
        labels, classes = encode_labels(records.labels)
        groups, group_names = encode_labels(records.groups)
        return self._samples(packed, labels=pick(labels), classes=classes, targets=pick(records.targets), groups=pick(groups),
                             group_names=group_names, test=pick(records.test), name=lambda i: records.names[at[i]], faults=faults,
                             notes=[*records.notes, *said], forces=forces)

    def _samples(self, packed: Packed, notes: Sequence[str] = (), **known: Any) -> Samples:
        if self.elements is None:
            self.apart = common(packed, MOST)
        return Samples(packed, len(packed.sizes), shape=(), channels=1, axes=("x", "y", "z"), spacing=(1.0,) * 3, unit="angstrom",
                       notes=[*notes, told(packed)], **known)

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {"mirror": self.mirror, "elements": " ".join(SYMBOLS[number - 1] for number in self.apart)}

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

    def corrupted(self, batch: Batch, name: str, severity: int, generator: Generator) -> Tensor | Batch:
        """Heat, hydrogens that were not seen, missing and wrong atoms, a strained whole, a displaced half; see :mod:`.corrupt`."""
        return corrupted(batch, name, severity, generator)

    def statistics(self, batch: Batch) -> Tensor:
        """Composition, the Coulomb matrix's eigenvalues, and smoothed distances by pairs of elements: the field's descriptors, which no
        motion and no order of the atoms changes."""
        return torch.cat([sizes(batch, self.apart), spectrum(batch), distances(batch, self.apart)], 1)

    def flat(self, batch: Batch) -> Tensor:
        """Atoms of each element."""
        return composition(batch)

    def draw(self, sample: Batch) -> str:
        return drawing(sample)

    def planted(self, count: int, generator: Generator) -> Samples:
        """Six atoms in one of four shapes of the same composition, with strangers around; see :func:`.planted.shapes`."""
        packed, label = shapes(count, generator)
        return self._samples(packed, labels=label, classes=["a", "b", "c", "d"], groups=np.arange(count) // 4 % 8)
