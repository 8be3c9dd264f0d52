"""Message passing over the edges of graphs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Count, Encoder, Features, Spec
from unveil.parts.norms import BatchNorm, Standardise
from unveil.tokens import Tokens, pool


class GIN(Encoder):
    """Graph isomorphism network (Xu et al. 2019, arXiv 1810.00826): ``h_i <- MLP((1 + eps) h_i + sum of neighbours h_j)``.

    Args:
        spec: of the data.
        width: D.
        depth: number of layers.
    """

    reads = frozenset({"edges"})
    supports = frozenset({"rows", "layers"})
    tiny = dict(width=32, depth=3)

    def __init__(self, spec: Spec, *, width: Count = 64, depth: Count = 3):
        super().__init__()
        self.spec, self.width, self.depth, self.patch_values = spec, width, depth, spec.channels
        self.standardise, self.project = Standardise(spec), nn.Linear(spec.channels, width)
        self.layers = nn.ModuleList(_Layer(width) for _ in range(depth))

    def chain(self) -> list[nn.Module]:
        return [self.project, *self.layers, self.layers[-1].norm]

    def embed(self, batch: Batch) -> Tokens:
        values = self.standardise(batch)
        return Tokens(self.project(values), batch.where, batch.valid, raw=values, graph=batch.graph)

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = ()) -> Features:
        x, graph, hidden = tokens.values, tokens.graph, []
        for number, layer in enumerate(self.layers):
            x = layer(x, graph.edges, graph.edge_valid, tokens.valid)
            if number in layers:
                hidden.append(x)
        return Features(x, pool(x, tokens.valid, graph.sample, graph.count), hidden, tokens.where, tokens.valid, graph)


class _Layer(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.inner, self.outer, self.norm = nn.Linear(width, width), nn.Linear(width, width), BatchNorm(width)
        self.epsilon = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, edges: Tensor, edge_valid: Tensor | None, valid: Tensor | None) -> Tensor:
        message = x[edges[0]]
        if edge_valid is not None:
            message = message * edge_valid[:, None]
        gathered = torch.zeros_like(x).index_add_(0, edges[1], message)
        out = self.norm(self.outer(torch.relu(self.inner((1 + self.epsilon) * x + gathered))), valid)
        return x + torch.relu(out)
