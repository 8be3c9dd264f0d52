"""Graphs: nodes with features, and edges between them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch
from unveil.data.packed import Packed, Structure
from unveil.data.samples import Samples
from unveil.kinds.graph.planted import textures
from unveil.kinds.graph.view import kept_nodes, other_features, without_edges
from unveil.kinds.kind import Kind
from unveil.randomness import Generator
from unveil.tokens import pool


class Graph(Kind):
    """Graphs, such as molecules or networks of people: nodes with features, and edges that may have features.

    Attributes:
        rest: mean of each feature ``(C)`` over the data that were opened last; None before.
        spread: its deviation.
    """

    name = "graph"
    offers = frozenset({"edges"})
    encoder = "gin"
    method = "graphmae"
    light: ClassVar[dict[str, Any]] = {"area": (1.0, 1.0), "strength": 0.0}  # a molecule less an atom is another molecule

    def __init__(self):
        self.rest: Tensor | None = None
        self.spread: Tensor | None = None

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {}

    def view(self, batch: Batch, count: int, *, area: tuple[float, float], size: float, strength: float, symmetry: bool,
             generator: Generator) -> list[Batch]:
        """A part of the nodes, ``area`` of them; then at strength 1 a tenth of the edges dropped and a tenth of the nodes with random features,
        as usual in the field. A graph has no resolution, so ``size`` changes nothing, and no exact symmetry but the order of its nodes,
        which encoders do not see."""
        return [self._one_view(batch, area, strength, generator) for _ in range(count)]

    def _one_view(self, batch: Batch, area: tuple[float, float], strength: float, generator: Generator) -> Batch:
        if area != (1.0, 1.0):
            batch = kept_nodes(batch, area, generator)
        if strength > 0:
            batch = without_edges(batch, min(1.0, 0.1 * strength), generator)
            batch = other_features(batch, min(1.0, 0.1 * strength), self.rest, self.spread, generator)
        return batch

    def flat(self, batch: Batch) -> Tensor:
        """Number of nodes, and sums of node features."""
        graph = batch.graph
        sizes = torch.zeros_like(batch.ids).index_add_(0, graph.sample, torch.ones_like(graph.sample))[:, None]
        return torch.cat([sizes.float(), sizes * pool(batch.values, sample=graph.sample, count=graph.count)], 1)

    def planted(self, count: int, generator: Generator) -> Samples:
        """Four ways in which types of nodes go together; see :func:`.planted.textures`."""
        made, label = textures(count, generator)
        return self._samples(made, labels=label, classes=["a", "b", "c", "d"], groups=np.arange(count) // 4 % 8)

    def _samples(self, structures: list[Structure], **known) -> Samples:
        packed = Packed(structures)
        self.rest, self.spread = packed.values.mean(0), packed.values.std(0, correction=0)
        return Samples(packed, len(structures), shape=(), channels=packed.values.shape[1], axes=(), spacing=(), unit="", **known)
