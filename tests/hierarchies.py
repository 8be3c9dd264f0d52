"""Small graphs and hierarchies of them, made by rules that can be seen through."""

import numpy as np
import torch

from unveil.data.packed import Packed, Structure
from unveil.data.samples import Samples
from unveil.kinds.graph import Graph


def walk_code(size: int, edges: np.ndarray, steps: int) -> np.ndarray:
    """Probability of being back where one started after 1, 2, ... steps."""
    walk = np.zeros((size, size))
    walk[edges[0], edges[1]] = 1
    walk = walk / np.maximum(walk.sum(1, keepdims=True), 1)
    power, code = np.eye(size), []
    for _ in range(steps):
        power = power @ walk
        code.append(np.diag(power))
    return np.stack(code, 1).astype(np.float32)


def with_hierarchy(structure: Structure, levels: int, code: int = 4) -> Structure:
    """Each level pairs neighbours, in the order of their numbers."""
    size, edges = len(structure), structure.edges
    structure.code = walk_code(size, edges, code)
    if levels == 1:
        return structure
    parent, count = np.full(size, -1), 0
    for a in range(size):
        if parent[a] < 0:
            free = [b for b in edges[1][edges[0] == a] if parent[b] < 0 and b != a]
            parent[[a, *free[:1]]] = count
            count += 1
    pairs = np.unique(parent[edges], axis=1)
    above = Structure(np.zeros((count, 0), np.float32), pairs[:, pairs[0] != pairs[1]])
    structure.parent, structure.coarser = parent.astype(np.int64), with_hierarchy(above, levels - 1, code)
    return structure


class Coarse(Graph):
    """The kind with hierarchies by the rule above."""

    offers = frozenset({"edges", "hierarchy"})
    depth = 2

    def planted(self, count, generator):
        samples = super().planted(count, generator)
        flat = samples.fetch
        made = []
        for i in range(count):
            rows = slice(int(flat.start[i]), int(flat.start[i] + flat.sizes[i]))
            own = slice(int(flat.first[i]), int(flat.first[i] + flat.many[i]))
            made.append(with_hierarchy(Structure(flat.values[rows].numpy(), flat.edges[:, own].numpy()), self.depth))
        samples.fetch = Packed(made)
        return samples


def random_graphs(sizes, seed=0, channels=5, edge_channels=0, levels=1, code=4):
    """Trees with a few rings, of the given sizes."""
    state, made = np.random.RandomState(seed), []
    for size in sizes:
        pairs = [(int(state.randint(node)), node) for node in range(1, size)]
        closing = {(int(min(pair)), int(max(pair))) for pair in state.randint(size, size=(size // 4, 2)) if pair[0] != pair[1]}
        pairs += sorted(closing - set(pairs))
        edges = np.array([*pairs, *((b, a) for a, b in pairs)], np.int64).reshape(-1, 2).T
        values = None if not edge_channels else np.concatenate([state.standard_normal((len(pairs), edge_channels))] * 2).astype(np.float32)
        made.append(with_hierarchy(Structure(state.standard_normal((size, channels)).astype(np.float32), edges, values), levels, code))
    return Samples(Packed(made), len(made), shape=(), channels=channels, axes=(), spacing=(), unit="")


def batch_of(samples, ids, dtype=torch.float32):
    batch = samples.batch(torch.as_tensor(ids))
    return batch.map(lambda x: x.to(dtype) if x.is_floating_point() else x)
