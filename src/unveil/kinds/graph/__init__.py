"""Graphs: nodes with features, and edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch, Count, Fraction
from unveil.data.packed import Packed, Structure
from unveil.data.records import Records
from unveil.data.samples import Samples, encode_labels
from unveil.kinds.graph.coarsen import hierarchy, shares
from unveil.kinds.graph.corrupt import LEVELS, corrupted
from unveil.kinds.graph.describe import circles, degree_bins, degrees, sums
from unveil.kinds.graph.draw import drawing
from unveil.kinds.graph.planted import textures
from unveil.kinds.graph.read import read
from unveil.kinds.graph.view import kept_nodes, other_features, without_edges
from unveil.kinds.kind import Kind
from unveil.randomness import Generator

REAL = 0.8  # share of graphs with a hierarchy below which nothing can be said of methods that stand on one


class Graph(Kind):
    """Graphs, such as molecules or networks of people: nodes with features, and edges that may have features.

    Args:
        levels: number of levels of detail: 1 for the graphs alone, 2 with one coarser version of each, and so on.
        ratio: share of the nodes of a level that the next coarser does without.
        code: steps of the random walk whose return probabilities say where a node of the coarsest level stands.
        degrees: nodes without features are told apart by their number of neighbours, up to this.

    Attributes:
        rest: mean of each feature ``(C)`` over the data that were opened last; None before.
        spread: its deviation.
        steps: size of a step in which a feature is told apart by :meth:`statistics`: 1 for whole numbers, else the deviation.
    """

    name = "graph"
    optional = {"hierarchy": {"levels": 2}}
    encoder = "gin"
    method = "graphmae"
    corruptions = tuple(LEVELS)
    optional = {"hierarchy": dict(levels=2)}
    light = {"area": (1.0, 1.0), "strength": 0.0}  # a molecule with another atom or bond is another molecule

    def __init__(self, *, levels: Count = 1, ratio: Fraction = 0.4, code: Count = 10, degrees: Count = 32):
        self.levels, self.ratio, self.code, self.degrees = levels, ratio, code, degrees
        self.rest: Tensor | None = None
        self.spread: Tensor | None = None
        self.steps: Tensor | None = None

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"edges", "hierarchy"} if self.levels > 1 else {"edges"})

    def open(self, records: Records) -> Samples:
        graphs, at, faults = read(records, self.degrees)
        pick = lambda column: None if column is None else np.asarray(column)[at]
        labels, classes = encode_labels(records.labels)
        groups, group_names = encode_labels(records.groups)
        return self._samples(graphs, labels=pick(labels), classes=classes, targets=pick(records.targets), groups=pick(groups),
                             group_names=group_names, test=pick(records.test), name=lambda i: records.names[at[i]], faults=faults,
                             notes=records.notes)

    def _samples(self, graphs: list[Structure], notes: Sequence[str] = (), **known: Any) -> Samples:
        graphs = hierarchy(graphs, self.levels, self.ratio, self.code)
        packed = Packed(graphs)
        x = packed.values
        self.rest, self.spread = x.mean(0), x.std(0, correction=0)
        self.steps = torch.where((x == x.round()).all(0) | (self.spread == 0), 1.0, self.spread)
        real = [(share, f"{share:.0%} of the graphs ({round(share * len(graphs)):,} of {len(graphs):,}) have a coarser level {number} with "
                 f"at least 3 merges (ratio {self.ratio:g})") for number, share in enumerate(shares(graphs, self.levels), 1)]
        doubts = [f"{said}, fewer than {REAL:.0%}" for share, said in real if share < REAL]
        return Samples(packed, len(graphs), shape=(), channels=x.shape[1], axes=(), spacing=(), unit="",
                       notes=[*notes, *(said for _, said in real)], doubts=doubts, **known)

    def fixed(self, samples: Samples) -> dict[str, object]:
        return {"levels": self.levels, "ratio": self.ratio, "code": self.code, "degrees": self.degrees}

    def grouping(self, samples: Samples, name: str | None) -> tuple[np.ndarray, list[str], str] | None:
        """``"degree"``: bins of the mean number of neighbours of a node, by which tests under shift hold graphs out (Gui et al. 2022,
        arXiv 2206.08452); see :func:`.describe.degree_bins`."""
        return (*degree_bins(samples), "mean degree") if name == "degree" else None

    def view(self, batch: Batch, count: int, *, area: tuple[float, float], size: float, strength: float, symmetry: bool,
             generator: Generator) -> list[Batch]:
        """A part of the nodes, ``area`` of them; then at strength 1 a tenth of the edges dropped and a tenth of the nodes with random
        features, as usual in the field. A graph has no resolution, so ``size`` changes nothing, and no exact symmetry but the order of
        its nodes, which encoders do not see."""
        return [self._one_view(batch, area, strength, generator) for _ in range(count)]

    def _one_view(self, batch: Batch, area: tuple[float, float], strength: float, generator: Generator) -> Batch:
        if area != (1.0, 1.0):
            batch = kept_nodes(batch, area, generator)
        if strength > 0:
            batch = without_edges(batch, min(1.0, 0.1 * strength), generator)
            batch = other_features(batch, min(1.0, 0.1 * strength), self.rest, self.spread, generator)
        return batch

    def corrupted(self, batch: Batch, name: str, severity: int, generator: Generator) -> Tensor | Batch:
        """Lost and wrong edges, lost nodes, missing and noisy features; see :mod:`.corrupt`."""
        return corrupted(batch, name, severity, self.rest, self.spread, generator)

    def statistics(self, batch: Batch) -> Tensor:
        """Counts of circular environments (Weisfeiler-Lehman colours; of molecules, environments like those of ECFP), numbers of nodes,
        edges and neighbours, and sums of node features."""
        return torch.cat([circles(batch, self.steps), degrees(batch), sums(batch)], 1)

    def flat(self, batch: Batch) -> Tensor:
        """Number of nodes, and sums of node features."""
        return sums(batch)

    def draw(self, sample: Batch) -> str:
        return drawing(sample)

    def planted(self, count: int, generator: Generator) -> Samples:
        """Four ways in which types of nodes go together; see :func:`.planted.textures`."""
        made, label = textures(count, generator)
        return self._samples(made, labels=label, classes=["a", "b", "c", "d"], groups=np.arange(count) // 4 % 8)
