"""Atoms as rows of an encoder: a vector an element, and edges to the neighbours."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from unveil.contracts import Batch
from unveil.parts.neighbours import radius_graph
from unveil.tokens import Tokens


class Elements(nn.Module):
    """Tokens of packed atoms. Their ``raw`` holds the atomic number; ``graph.edges`` join atoms closer than the cutoff, also through the
    walls of a periodic cell, and ``graph.edge_values (E, 3)`` lead from the one to the other.

    Finding neighbours waits for the device, how many there are depends on the places: once for open systems of up to 96 atoms.

    Args:
        width: D.
        elements: largest atomic number. Row 0 of the table stands for an atom that was taken away.
        cutoff: in the unit of the places.
        most: of each atom the nearest neighbours that are kept; None for all.
        loops: an atom is also its own neighbour, at distance zero; these edges come last, one a row.
    """

    def __init__(self, width: int, elements: int, cutoff: float, most: int | None, loops: bool = False):
        super().__init__()
        self.cutoff, self.most, self.loops = cutoff, most, loops
        self.table = nn.Embedding(elements + 1, width)

    def forward(self, batch: Batch) -> Tokens:
        edges, vectors = radius_graph(batch.where, batch.graph, self.cutoff, self.most, batch.valid)
        if self.loops:
            rows = torch.arange(len(batch.values), device=edges.device)
            edges, vectors = torch.cat([edges, rows.expand(2, -1)], 1), torch.cat([vectors, torch.zeros_like(batch.where)])
        graph = replace(batch.graph, edges=edges, edge_values=vectors, edge_valid=None)
        return Tokens(self.table(batch.values[:, 0].long()), batch.where, batch.valid, raw=batch.values, graph=graph)


def gathered(message: Tensor, end: Tensor, rows: int) -> Tensor:
    """Sums of messages ``(E, ...)`` over the edges that end in each of ``rows``, no narrower than float32."""
    total = torch.zeros(rows, *message.shape[1:], dtype=torch.promote_types(message.dtype, torch.float32), device=message.device)
    return total.index_add(0, end, message.to(total.dtype))
