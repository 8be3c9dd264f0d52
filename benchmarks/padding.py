"""Memory of a batch of graphs of which one is large: packed, as all here is, and filled up to the largest, as a dense batch would be.

    python benchmarks/padding.py

The same network reads both. Counted are the bytes that its forward pass keeps for the backward pass, and those of the batch itself. Writes
``results/benchmarks/padding.json``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from rows import write

from unveil.contracts import Batch
from unveil.data.packed import Packed, Structure
from unveil.data.samples import Samples
from unveil.encoders.gin import GIN

GRAPHS, NODES, LARGEST = 32, 24, (24, 100, 300, 1000, 3000)  # of all but one, about as many as a small molecule has atoms
CHANNELS, WIDTH, DEPTH = 16, 64, 3


def graph(nodes: int, seed: int) -> Structure:
    """A tree with a ring for every four nodes."""
    state = np.random.default_rng(seed)
    tree = np.stack([(state.random(nodes - 1) * np.arange(1, nodes)).astype(np.int64), np.arange(1, nodes)])
    pairs = np.concatenate([tree, state.integers(nodes, size=(2, nodes // 4))], 1)
    return Structure(state.normal(size=(nodes, CHANNELS)).astype(np.float32), np.concatenate([pairs, pairs[::-1]], 1))


def filled(structure: Structure, nodes: int) -> Structure:
    """With rows of zeros behind its own."""
    return replace(structure, values=np.pad(structure.values, ((0, nodes - len(structure)), (0, 0))))


def batch_of(graphs: list[Structure]) -> tuple[Samples, Batch]:
    """All graphs as one batch, and the samples that it is of."""
    samples = Samples(Packed(graphs), len(graphs), shape=(), channels=CHANNELS, axes=(), spacing=(), unit="")
    return samples, samples.batch(torch.arange(len(graphs)))


def kept(network: GIN, batch: Batch) -> float:
    """MiB of the batch and of what is kept for the backward pass, without the weights."""
    own = {x.untyped_storage().data_ptr() for x in network.state_dict().values()}
    held = {x.untyped_storage().data_ptr(): x.untyped_storage() for x in (batch.values, batch.graph.edges, batch.graph.sample)}

    def note(x: torch.Tensor) -> torch.Tensor:
        if x.untyped_storage().data_ptr() not in own:
            held[x.untyped_storage().data_ptr()] = x.untyped_storage()  # held, so that no later one takes its place
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        network(batch).pooled.sum()
    return round(sum(storage.nbytes() for storage in held.values()) / 2**20, 2)


def main() -> None:
    """Prints and keeps a row a size of the largest graph."""
    rows = []
    for largest in LARGEST:
        graphs = [graph(largest if number == 0 else NODES, number) for number in range(GRAPHS)]
        samples, packed = batch_of(graphs)
        _, padded = batch_of([filled(each, largest) for each in graphs])
        there = torch.cat([torch.arange(largest) < len(each) for each in graphs])
        network = GIN(samples.spec(), width=WIDTH, depth=DEPTH).train()
        rows.append({"largest": largest, "rows": len(packed.graph.sample), "filled": len(padded.graph.sample),
                     "packed MiB": kept(network, packed), "padded MiB": kept(network, replace(padded, valid=there))})
        print(rows[-1], flush=True)
    write("padding", rows, graphs=GRAPHS, nodes=NODES, network=f"GIN of {DEPTH} layers of {WIDTH}")


if __name__ == "__main__":
    main()
