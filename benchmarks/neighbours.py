"""Time and memory of the radius graph from 100 to 100,000 atoms, open and periodic, and of many small molecules, beside ASE's.

Each size runs in a process of its own, so that its peak of memory is its own. Writes ``results/benchmarks/neighbours.json``.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from rows import processor_ms, write

from unveil.parts.neighbours import radius_graph
from unveil.tokens import Graph

CUTOFF = 5.0  # angstrom
DENSITY = 0.1  # atoms a cubic angstrom, as in proteins and water
ATOMS = (100, 1000, 10_000, 100_000)
ASE_UP_TO = 1000  # it takes ten seconds for three times as many, and minutes above


def system(atoms: int, periodic: bool, molecules: int = 1) -> tuple[torch.Tensor, Graph]:
    """Atoms at random places in cubes, one a molecule, of the density of water; no two nearer than chance has it."""
    side = (atoms / DENSITY) ** (1 / 3)
    where = torch.from_numpy(np.random.default_rng(0).uniform(0, side, (atoms * molecules, 3)).astype(np.float32))
    sample = torch.arange(molecules).repeat_interleave(atoms)
    cell = side * torch.eye(3).expand(molecules, 3, 3).clone() if periodic else None
    return where, Graph(sample, molecules, atoms, cell=cell)


def by_ase(atoms: int, periodic: bool) -> float:
    """Seconds that ASE takes for the same system."""
    import ase
    from ase.neighborlist import neighbor_list
    where, graph = system(atoms, periodic)
    whole = ase.Atoms(numbers=np.ones(atoms), positions=where.numpy(), cell=graph.cell[0].numpy() if periodic else None, pbc=periodic)
    began = time.process_time()
    neighbor_list("ijD", whole, CUTOFF)
    return time.process_time() - began


def one(atoms: int, periodic: bool, molecules: int) -> dict:
    """A row: milliseconds of processor time, and megabytes that the peak lies above what stood before."""
    torch.set_num_threads(1)
    where, graph = system(atoms, periodic, molecules)
    radius_graph(*system(20, periodic), CUTOFF)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    edges, _ = radius_graph(where, graph, CUTOFF)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    took = processor_ms(lambda: radius_graph(where, graph, CUTOFF), rounds=3)
    total = atoms * molecules
    row = {"molecules": molecules, "atoms": total, "periodic": periodic, "edges": edges.shape[1], "ms": took,
           "us an atom": round(1000 * took / total, 2), "peak MB": round(peak / 1024, 1), "bytes an atom": round(1024 * peak / total)}
    if molecules == 1 and atoms <= ASE_UP_TO:
        row["ase ms"] = round(1000 * by_ase(atoms, periodic), 1)
    return row


def main() -> None:
    """Prints and keeps a row a system."""
    asked = [(20, periodic, molecules) for periodic in (False, True) for molecules in (100, 1000)]
    asked += [(atoms, periodic, 1) for periodic in (False, True) for atoms in ATOMS]
    rows = []
    for each in asked:
        ran = subprocess.run([sys.executable, __file__, json.dumps(each)], check=True, capture_output=True, text=True)
        rows.append(json.loads(ran.stdout))
        print(rows[-1], flush=True)
        write("neighbours", rows, cutoff=CUTOFF, density=DENSITY, timed="processor time of one thread, median of three")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(*json.loads(sys.argv[1]))))
    else:
        main()
