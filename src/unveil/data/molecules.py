"""Molecules by RDKit: from text to a graph of atoms and bonds, to atoms with places, and to the scaffold that splits go by."""

from __future__ import annotations

from functools import cache

import numpy as np

from unveil.data.packed import Structure
from unveil.data.records import Unreadable
from unveil.errors import Unusable

ELEMENTS = {number: name for name, number in dict(H=1, B=5, C=6, N=7, O=8, F=9, Si=14, P=15, S=16, Cl=17, Br=35, I=53).items()}
DEGREES, CHARGES, HYDROGENS, HYBRIDS = 7, (-1, 0, 1), 5, ("s", "sp", "sp2", "sp3")
ATOM_FEATURES = [*(f"element {name}" for name in ELEMENTS.values()), "another element",
                 *(f"{n} neighbours" for n in range(DEGREES - 1)), f"{DEGREES - 1} neighbours or more",
                 *(f"charge {n:+d}" if n else "no charge" for n in CHARGES), "another charge",
                 *(f"{n} hydrogens" for n in range(HYDROGENS - 1)), f"{HYDROGENS - 1} hydrogens or more",
                 *HYBRIDS, "another hybridisation", "aromatic", "in a ring"]
BOND_FEATURES = ["single", "double", "triple", "aromatic", "another bond", "conjugated", "in a ring"]

LONGEST_SMILES = 10_000
MOST_ATOMS = 2000  # rings and canonical order of more take seconds
SEED = 20_011  # of every conformer: a molecule has the same places wherever it stands
ATTEMPTS = 30


@cache
def rdkit():
    """The modules of RDKit.

    Raises:
        Unusable: where it is not installed.
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDistGeom
    except ImportError as why:
        raise Unusable("reading molecules needs the package rdkit: pip install 'unveil[graph]'") from why
    return Chem, rdBase, rdDistGeom


def of_smiles(text: str):
    """The molecule that a SMILES says.

    Raises:
        Unreadable: where it says none, and why.
    """
    chem, base, _ = rdkit()
    if not text.strip():
        raise Unreadable("is empty: there is no SMILES")
    if len(text) > LONGEST_SMILES:
        raise Unreadable(f"is a SMILES of {len(text):,} characters, more than {LONGEST_SMILES:,}")
    with base.BlockLogs():
        molecule = chem.MolFromSmiles(text)
        if molecule is None:
            raise Unreadable(f"{text.strip()[:60]!r} {_why(chem.MolFromSmiles(text, sanitize=False))}")
    return _sized(molecule)


def of_block(text: str, hydrogens: bool):
    """The molecule of one record of an SDF.

    Args:
        text: the record, up to its properties.
        hydrogens: whether those that stand there as atoms stay so, and bonds are taken as they are; a graph has hydrogens as numbers at the
            other atoms, and its bonds must make sense.

    Raises:
        Unreadable: where it cannot be read, and why.
    """
    chem, base, _ = rdkit()
    with base.BlockLogs():
        try:
            molecule = chem.MolFromMolBlock(text, removeHs=not hydrogens, sanitize=not hydrogens)
            if molecule is None:
                raise Unreadable(_why(chem.MolFromMolBlock(text, sanitize=False, removeHs=False)))
        except RuntimeError as why:  # what RDKit says of a broken block in C++
            raise Unreadable("is no mol block that RDKit can read") from why
    return _sized(molecule)


def _why(molecule) -> str:
    """Why there is no molecule, given what was read without looking at its chemistry."""
    if molecule is None:
        return "is nothing that RDKit can read as a molecule"
    problems = rdkit()[0].DetectChemistryProblems(molecule)
    return f"is no molecule: {problems[0].Message()}" if problems else "is no molecule that RDKit can make sense of"


def _sized(molecule):
    if not molecule.GetNumAtoms():
        raise Unreadable("has no atoms")
    if molecule.GetNumAtoms() > MOST_ATOMS:
        raise Unreadable(f"has {molecule.GetNumAtoms()} atoms, more than the {MOST_ATOMS} of one molecule that are read")
    return molecule


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where in its one-hot an element, a charge and a bond stand, by RDKit's numbers for them; charges are shifted by 64."""
    chem = rdkit()[0]
    element, charge, bond = (np.full(size, other) for size, other in ((256, len(ELEMENTS)), (129, len(CHARGES)), (256, 4)))
    element[list(ELEMENTS)] = range(len(ELEMENTS))
    charge[[64 + n for n in CHARGES]] = range(len(CHARGES))
    types = chem.BondType
    bond[[int(kind) for kind in (types.SINGLE, types.DOUBLE, types.TRIPLE, types.AROMATIC)]] = range(4)
    return element, charge, bond


def graph(molecule) -> Structure:
    """Atoms as nodes with :data:`ATOM_FEATURES`, bonds as edges both ways with :data:`BOND_FEATURES`. Which hand a molecule is
    of is left out: RDKit's mark for it depends on the order of the atoms."""
    element, charge, bond = _tables()
    held = np.array([(a.GetAtomicNum(), a.GetDegree(), a.GetFormalCharge(), a.GetTotalNumHs(), int(a.GetHybridization()),
                      a.GetIsAromatic(), a.IsInRing()) for a in molecule.GetAtoms()])
    hybrid = np.where((held[:, 4] >= 1) & (held[:, 4] <= 4), held[:, 4] - 1, 4)
    places = [(element[held[:, 0]], 13), (np.minimum(held[:, 1], DEGREES - 1), DEGREES),
              (charge[np.clip(held[:, 2], -64, 64) + 64], 4), (np.minimum(held[:, 3], HYDROGENS - 1), HYDROGENS), (hybrid, 5)]
    values = np.zeros((len(held), len(ATOM_FEATURES)), np.float32)
    begin, rows = 0, np.arange(len(held))
    for place, width in places:
        values[rows, begin + place] = 1
        begin += width
    values[:, begin:] = held[:, 5:]
    bonds = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(b.GetBondType()), b.GetIsConjugated(), b.IsInRing())
                      for b in molecule.GetBonds()], np.int64).reshape(-1, 5)
    known = np.zeros((len(bonds), len(BOND_FEATURES)), np.float32)
    known[np.arange(len(bonds)), bond[bonds[:, 2]]] = 1
    known[:, 5:] = bonds[:, 3:]
    edges = np.concatenate([bonds[:, :2], bonds[:, 1::-1]])
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    return Structure(values, np.ascontiguousarray(edges[order].T), np.concatenate([known, known])[order])


def atoms(molecule) -> Structure:
    """Atomic numbers ``(n, 1)`` and places in angstrom, those that the molecule has.

    Raises:
        Unreadable: where an atom stands for anything, as in a pattern.
    """
    numbers = np.array([[a.GetAtomicNum()] for a in molecule.GetAtoms()], np.float32)
    if not numbers.all():
        raise Unreadable(f"atom {int(np.argmin(numbers)) + 1} is of no element")
    return Structure(numbers, where=np.asarray(molecule.GetConformer().GetPositions(), np.float32))


def has_places(molecule) -> bool:
    """Whether it stands in space: said so by its record, or not flat."""
    return molecule.GetNumConformers() > 0 and molecule.GetConformer().Is3D()


def embedded(molecule) -> Structure:
    """All atoms, hydrogens too, with the places of one conformer by ETKDG (version 3), of a fixed seed and not relaxed.

    Raises:
        Unreadable: where no conformer is found.
    """
    chem, base, geometry = rdkit()
    settings = geometry.ETKDGv3()
    settings.randomSeed, settings.maxIterations = SEED, ATTEMPTS
    with base.BlockLogs():
        whole = chem.AddHs(molecule)
        for random in (False, True):  # random beginnings find what distances alone do not, such as large rings
            settings.useRandomCoords = random
            try:
                if geometry.EmbedMolecule(whole, settings) == 0:
                    return atoms(whole)
            except (RuntimeError, ValueError):
                break
    raise Unreadable(f"no conformer is found for {chem.MolToSmiles(molecule)[:60]}")


def scaffold(molecule) -> str:
    """Its Bemis-Murcko scaffold as RDKit makes it, a SMILES without stereo; of a molecule without rings its own SMILES."""
    chem = rdkit()[0]
    core = chem.MurckoDecompose(molecule)
    return chem.MolToSmiles(core if core.GetNumAtoms() else molecule, isomericSmiles=False)
