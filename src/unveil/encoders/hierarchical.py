"""Graphs seen at several levels: messages where they are fine, attention where they are coarse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Spec
from unveil.errors import Unusable
from unveil.parts.message import Form, Message, Paths
from unveil.parts.mixing import Mixer, Rooms
from unveil.parts.norms import Standardise
from unveil.parts.ragged import coarsened, pooled
from unveil.tokens import Graph, Tokens


class HierarchicalNet(Encoder):
    """The fine-to-coarse encoder of Hi-GMAE (Liu et al. 2024, arXiv 2405.10642).

    Nodes exchange messages, are summed into the coarser nodes that they are part of, those exchange messages by one layer, and so on; the
    coarsest level attends within each graph, with the random-walk code of its nodes beside it. A graph's vector is the sum over levels of
    each level's pool.

    Args:
        spec: of the data.
        width: of all levels.
        levels: their number, that of the kind's hierarchy.
        depth: layers of messages at the finest level.
        form: of the layers of messages.
        attention: layers of attention at the coarsest level.
        heads: of attention, and of gat's layers.
        dropout: of what goes into a layer of messages.
        residual: add what went into a layer of messages to what comes out.
        pooling: over the nodes of a level.
    """

    reads = frozenset({"edges", "hierarchy"})
    supports = frozenset({"rows", "edges", "hierarchy"})
    tiny = dict(width=32, depth=2)

    def __init__(self, spec: Spec, *, width: Count = 512, levels: Count = 2, depth: Count = 3, form: Form = "gin", attention: Count = 1,
                 heads: Count = 1, dropout: Fraction = 0.0, residual: bool = False,
                 pooling: Literal["mean", "sum", "max"] = "mean"):
        super().__init__()
        if levels < 2:
            raise ValueError("levels is 1, which is no hierarchy: it must be 2 or more; for one level use gin")
        self.spec, self.width, self.depth = spec, width, depth
        self.levels, self.dropout, self.residual, self.pooling, self.grows = levels, dropout, residual, pooling, pooling == "sum"
        self.standardise, self.project = Standardise(spec), nn.Linear(spec.channels, width)
        self.fine = nn.ModuleList(Message(form, width, width, edge_channels=spec.edge_channels, heads=heads) for _ in range(depth))
        self.middle = nn.ModuleList(Message(form, width, width, heads=heads) for _ in range(levels - 2))
        self.coarse = nn.ModuleList(Mixer(width, heads, spec.code_channels) for _ in range(attention))

    def chain(self) -> list[nn.Module]:
        return [self.project, *self.fine, *self.middle, *self.coarse, self.coarse[-1].block.norm2]

    def embed(self, batch: Batch) -> Tokens:
        values = self.standardise(batch)
        return Tokens(self.project(values), batch.where, batch.valid, raw=values, graph=batch.graph)

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = (),
               hide: Sequence[Tensor] | None = None) -> Features:
        """Nodes to features of nodes, of graphs, and of the coarser levels.

        Args:
            tokens: from :meth:`embed`.
            keep: not supported.
            layers: not supported.
            hide: bool ``(rows)`` a level, finest first. Coarsest rows that are hidden do not attend and are not attended to, they go
                through as they are; what stands in finer ones is whoever's who hides them.

        Raises:
            Unusable: where the data have another number of levels.
        """
        x, valid, graph = tokens.values, tokens.valid, tokens.graph
        self._look(graph)
        levels: list[Features] = []
        for number in range(self.levels - 1):
            paths = Paths.of(graph, valid)
            for layer in self.fine if number == 0 else self.middle[number - 1:number]:
                out = layer(F.dropout(x, self.dropout, self.training), paths)
                x = x + out if self.residual else out
            levels.append(Features(x, pooled(x, valid, graph, self.pooling), valid=valid, graph=graph))
            (x, valid), graph = coarsened(x, valid, graph), graph.coarser
        seen = valid if hide is None else ~hide[-1] if valid is None else valid & ~hide[-1]
        rooms = Rooms.of(graph)
        for mixer in self.coarse:
            x = mixer(x, graph, rooms, seen)
        levels.append(Features(x, pooled(x, valid, graph, self.pooling), valid=valid, graph=graph))
        whole = torch.stack([level.pooled for level in levels]).sum(0)
        return Features(levels[0].local, whole, where=tokens.where, valid=tokens.valid, graph=tokens.graph, levels=levels[1:])

    def _look(self, graph: Graph) -> None:
        count, level = 1, graph
        while level.coarser is not None:
            count, level = count + 1, level.coarser
        if count != self.levels:
            raise Unusable(f"the encoder has {self.levels} levels and the graphs have {count}: "
                           "make --encoder.levels and --kind.levels equal")
