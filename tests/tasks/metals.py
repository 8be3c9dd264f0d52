"""Clusters of copper and aluminium, shaken, with energies and forces of the effective medium theory (EMT) of ASE."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np


@cache
def clusters(count: int = 80, seed: int = 0) -> tuple:
    """Of 5 to 11 atoms each, as ASE holds them, energies and forces computed."""
    from ase.build import bulk
    from ase.calculators.emt import EMT
    random, made = np.random.default_rng(seed), []
    for _ in range(count):
        atoms = bulk("Cu", cubic=True) * (3, 3, 3)
        atoms.symbols[random.permutation(len(atoms))[:len(atoms) // 2]] = "Al"
        away = np.square(atoms.positions - atoms.positions.mean(0) - random.normal(size=3)).sum(1)
        atoms = atoms[np.sort(np.argsort(away)[:random.integers(5, 12)])]
        atoms.pbc, atoms.cell = False, None
        atoms.positions += 0.1 * random.normal(size=atoms.positions.shape)
        atoms.calc = EMT()
        atoms.get_forces()
        made.append(atoms)
    return tuple(made)


def written(folder: Path, ending: str = "extxyz", count: int = 80) -> Path:
    """A file of them."""
    from ase.io import write
    write(folder / f"metals.{ending}", list(clusters(count)))
    return folder / f"metals.{ending}"
