"""Graphs: nodes with features, and edges between them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.packed import Packed, Structure
from unveil.data.samples import Samples
from unveil.kinds.kind import Kind
from unveil.randomness import Generator
from unveil.tokens import pool


class Graph(Kind):
    """Graphs, such as molecules or networks of people: nodes with features, and edges that may have features."""

    name = "graph"
    offers = frozenset({"edges"})
    encoder = "gin"
    method = "graphmae"
    light: ClassVar[dict[str, Any]] = {"area": (1.0, 1.0), "strength": 0.0}  # a molecule less an atom is another molecule

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {}

    def flat(self, batch: Batch) -> Tensor:
        """Number of nodes, and sums of node features."""
        graph = batch.graph
        sizes = torch.zeros_like(batch.ids).index_add_(0, graph.sample, torch.ones_like(graph.sample))[:, None]
        return torch.cat([sizes.float(), sizes * pool(batch.values, sample=graph.sample, count=graph.count)], 1)

    def planted(self, count: int, generator: Generator) -> Samples:
        """Trees of random shape on which one of four small motifs hangs; its label is the motif."""
        motifs = [[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)], [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 2)],
                  [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)], [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (3, 4), (4, 5)]]
        label = np.arange(count) % 4
        made = [_planted(motifs[label[i]], generator.integers(0, 1 << 30, 24, keys=torch.tensor([i]))[0].numpy()) for i in range(count)]
        return Samples(Packed(made), count, shape=(), channels=4, axes=(), spacing=(), unit="", labels=label, classes=["a", "b", "c", "d"],
                       groups=np.arange(count) // 4 % 8)


def _planted(motif: list[tuple[int, int]], draws: np.ndarray) -> Structure:
    size = 10 + int(draws[0]) % 6
    pairs = motif + [(node, int(draws[node]) % node) for node in range(6, size)]
    edges = np.array([*pairs, *((b, a) for a, b in pairs)]).T
    degree = np.bincount(edges[0], minlength=size)
    return Structure(np.eye(4, dtype=np.float32)[np.clip(degree, 1, 4) - 1], edges)
