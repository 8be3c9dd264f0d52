"""Built-in sets of molecules, each out of the files of a package."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from unveil.data import cells
from unveil.data.molecules import rdkit
from unveil.data.options import Options
from unveil.data.readers import molecules, structures, tudataset
from unveil.data.records import Records
from unveil.data.sources import Source, opened
from unveil.errors import Unusable

IDENTIFIERS = ("Identifiers/chemical identifiers pubchem large.tsv", "Identifiers/chemical identifiers pubchem small.tsv")
MELTING = "Phase Change/OpenNotebook Melting Points.tsv"
COMPUTED = {"gap": "eV", "energy": "eV", "dipole": "debye"}
HELD_OUT, MOST_OF_A_GROUP = 0.2, 0.01  # shares of the molecules whose melting point is known


def mutag(folder: Path, options: Options | None = None) -> Records:
    """The classic set of graphs."""
    return tudataset.read(folder, Options())


def chemicals(folder: Path, options: Options) -> Records:
    """All molecules; the targets are melting points, NaN where none is known.

    The test part is made here: whole scaffolds, of few molecules each, until it has a fifth of the melting points. Molecules of these
    scaffolds without a melting point are left out, so that whoever teaches on the rest never sees a molecule of the test part.
    """
    melting = dict(zip(*cells.read(str(folder / MELTING), ("CAS", "Tm"))[1].values()))
    rows = [line.split("\t", 5) for name in IDENTIFIERS for line in (folder / name).read_text(encoding="utf-8").splitlines()]
    known, smiles = [row[1] for row in rows], [row[4] for row in rows]
    scaffold = _kept_scaffolds(folder, smiles)
    targets = np.array([float(melting.get(name, "nan")) for name in known])
    test = held_out(scaffold, known, np.isfinite(targets))
    kept = np.flatnonzero(~test | np.isfinite(targets))
    source = Source(str(folder), kept, [smiles[i] for i in kept])
    records = molecules.records([source], _own(options), "chemicals", known=lambda source, i: f"CAS {known[source.places[i]]}",
                                scaffold=scaffold[kept])
    records.targets, records.target, records.test = targets[kept], "melting point (K)", test[kept]
    records.notes.append(f"{test[kept].sum():,} of {np.isfinite(targets).sum():,} melting points are the test part, whole scaffolds; "
                         f"{len(rows) - len(kept):,} molecules of these scaffolds without a melting point are left out")
    return records


def _kept_scaffolds(folder: Path, smiles: Sequence[str]) -> np.ndarray:
    """The scaffold of each molecule, made once and kept beside the files for every arm of a study that opens the set again."""
    kept = folder / f"scaffolds {rdkit()[1].rdkitVersion}.txt"
    try:
        found = kept.read_text(encoding="utf-8").split("\n")
        if len(found) == len(smiles):
            return np.array(found)
    except (OSError, UnicodeDecodeError):
        pass
    found = list(molecules.scaffolds(Source(str(folder), np.arange(len(smiles)), smiles)))
    with suppress(OSError):  # a cache that cannot be written is done without
        part = kept.with_name(f".{kept.name}.{os.getpid()}")
        part.write_text("\n".join(found), encoding="utf-8")
        part.replace(kept)
    return np.array(found)


def held_out(groups: Sequence[str], names: Sequence[str], known: np.ndarray) -> np.ndarray:
    """Bool ``(n,)``: members of the groups that are held out, however the groups are called: the order in which they are taken comes of
    the least name of a member."""
    members = defaultdict(list)
    for i in np.flatnonzero(known):
        if groups[i]:
            members[groups[i]].append(names[i])
    order = sorted((hashlib.sha256(min(held).encode()).digest(), group) for group, held in members.items()
                   if len(held) <= MOST_OF_A_GROUP * known.sum())
    sizes = np.cumsum([len(members[group]) for _, group in order])
    chosen = {group for _, group in order[:int(np.searchsorted(sizes, HELD_OUT * known.sum())) + 1]}
    return np.array([group in chosen for group in groups])


def solubility(folder: Path, options: Options) -> Records:
    """Solubility in water as a class and as a number, with the split that the set comes with."""
    sources = [opened(str(folder / f"solubility.{part}.sdf"), {"SOL", "SOL_classification"}.__contains__) for part in ("train", "test")]
    records = molecules.records(sources, _own(options, labels="SOL_classification", targets="SOL"), "solubility",
                                np.repeat([False, True], [len(source) for source in sources]),
                                lambda source, i: f"{Path(source.file).stem} {i + 1}")
    records.target = "log solubility (log mol/l)"
    return records


def freesolv(folder: Path, options: Options) -> Records:
    """Free energies of hydration."""
    source = opened(str(folder / "freesolv.csv"), {"expt"}.__contains__)
    records = molecules.records([source], _own(options, targets="expt"), "freesolv", known=lambda source, i: f"freesolv {i + 1}")
    records.target = "hydration free energy (kcal/mol)"
    return records


def conformers(folder: Path, options: Options) -> Records:
    """Small molecules in 3-D with the gap as number to predict, or the energy or the dipole where it is asked for; scaffolds as groups."""
    options = replace(options, targets=options.targets or "gap", groups=options.groups or "scaffold")
    records = structures.read(folder / "conformers.extxyz", options)
    if unit := COMPUTED.get(options.targets):
        records.target = f"{options.targets} ({unit})"
        records.notes = [f"{options.targets} in {unit} is computed by GFN2-xTB, not measured"]
    return records


def _own(options: Options, **own: str) -> Options:
    """What a set says of itself.

    Raises:
        Unusable: where the user names other columns than it has.
    """
    said = {"groups": options.groups, "labels": None if options.label_file else options.labels,
            "targets": None if options.target_file else options.targets}
    for role, name in said.items():
        have = {"groups": "scaffold"}.get(role, own.get(role))
        if name not in (None, have) and not (role == "groups" and options.made):
            raise Unusable(f"the built-in set has no column {name!r} for --{role}" + (f", but {have!r}" if have else ""))
    return Options(kind=options.kind, groups=options.groups if options.made else None, **own)
