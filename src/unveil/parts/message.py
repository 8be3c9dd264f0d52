"""Messages along the edges of packed graphs: one layer, for encoders and decoders alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.errors import Unusable
from unveil.parts.norms import BatchNorm
from unveil.tokens import Graph

Form = Literal["gin", "gcn", "gat"]


@dataclass
class Paths:
    """What messages go along. Edges that a view took away, and those of rows that it took away, carry nothing.

    Attributes:
        edges: ``(2, E)`` from and to.
        values: ``(E, F)`` or None.
        open: bool ``(E)``, which of them carry; None says all do.
        valid: bool ``(sum N)``, which rows are there; None says all are.
    """

    edges: Tensor
    values: Tensor | None
    open: Tensor | None
    valid: Tensor | None

    @classmethod
    def of(cls, graph: Graph, valid: Tensor | None) -> Paths:
        """Those of a level, whose rows are ``valid``."""
        there = graph.edge_valid
        if valid is not None:
            both = valid[graph.edges[0]] & valid[graph.edges[1]]
            there = both if there is None else there & both
        return cls(graph.edges, graph.edge_values, there, valid)

    def with_sink(self, rows: int) -> tuple[Tensor, Tensor | None]:
        """Edges and their values for layers of others, which know of no missing edge: those that carry nothing go from one further row
        ``rows`` to itself. Every row has one more edge to itself, of value zero."""
        edges = self.edges if self.open is None else torch.where(self.open, self.edges, rows)
        own = torch.arange(rows + 1, device=edges.device).expand(2, -1)
        values = None if self.values is None else torch.cat([self.values, self.values.new_zeros(rows + 1, self.values.shape[1])])
        return torch.cat([edges, own], 1), values


class Message(nn.Module):
    """One round of messages, then batch normalisation and PReLU.

    ``gin``: ``h_i <- MLP((1 + eps) h_i + sum over neighbours j of h_j)`` (Xu et al. 2019, arXiv 1810.00826), the MLP of two layers with
    batch normalisation and PReLU between; with values of edges ``relu(h_j + W e_ij)`` are summed (GINE, Hu et al. 2020, arXiv 1905.12265).
    ``gcn`` (Kipf and Welling 2017), which does not look at values of edges, and ``gat`` (Velickovic et al. 2018) are PyTorch Geometric's.

    Args:
        form: which.
        width_in: of the rows.
        width_out: of the answers.
        edge_channels: numbers that are known of an edge.
        heads: of ``gat``; they divide ``width_out``.
        closing: end with normalisation and PReLU; a decoder's last layer does not.

    Raises:
        Unusable: where the form needs a package that is not installed.
    """

    def __init__(self, form: Form, width_in: int, width_out: int, *, edge_channels: int = 0, heads: int = 1, closing: bool = True):
        super().__init__()
        if form == "gin":
            self.send = _Isomorphism(width_in, width_out, edge_channels, closing)
        else:
            self.send = _Outside(form, width_in, width_out, edge_channels, heads, closing)
        self.norm = BatchNorm(width_out) if closing else None
        self.activate = nn.PReLU() if closing else None

    def forward(self, x: Tensor, paths: Paths) -> Tensor:
        """``x (sum N, width_in)`` to ``(sum N, width_out)``."""
        x = self.send(x, paths)
        return x if self.norm is None else self.activate(self.norm(x, paths.valid))


class _Isomorphism(nn.Module):
    def __init__(self, width_in: int, width_out: int, edge_channels: int, closing: bool):
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(1))
        self.edge = nn.Linear(edge_channels, width_in) if edge_channels else None
        self.inner, self.norm, self.activate = nn.Linear(width_in, width_out, bias=False), BatchNorm(width_out), nn.PReLU()
        self.outer = nn.Linear(width_out, width_out, bias=not closing)

    def forward(self, x: Tensor, paths: Paths) -> Tensor:
        message = x[paths.edges[0]]
        if self.edge is not None:
            message = torch.relu(message + self.edge(paths.values))
        if paths.open is not None:
            message = message * paths.open[:, None]
        x = torch.addcmul(x, self.epsilon, x)  # in float32 where the network computes in bfloat16
        x = x.index_add(0, paths.edges[1], message.to(x.dtype))
        return self.outer(self.activate(self.norm(self.inner(x), paths.valid)))


class _Outside(nn.Module):
    """A layer of PyTorch Geometric."""

    def __init__(self, form: str, width_in: int, width_out: int, edge_channels: int, heads: int, closing: bool):
        super().__init__()
        try:
            from torch_geometric.nn import GATConv, GCNConv
        except ImportError as why:
            raise Unusable(f"{form} layers are PyTorch Geometric's, which is not installed: pip install unveil[graph], or use gin") from why
        if width_out % heads:
            raise ValueError(f"width {width_out} is not a multiple of heads {heads}")
        if form == "gcn":  # edges of rows to themselves come with the paths: its own way to add them waits for the device
            self.layer = GCNConv(width_in, width_out, add_self_loops=False, bias=not closing)
        else:
            self.layer = GATConv(width_in, width_out // heads, heads, add_self_loops=False, edge_dim=edge_channels or None,
                                 bias=not closing)

    def forward(self, x: Tensor, paths: Paths) -> Tensor:
        edges, values = paths.with_sink(len(x))
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
        out = self.layer(padded, edges, values) if getattr(self.layer, "edge_dim", None) else self.layer(padded, edges)
        return out[:-1]
