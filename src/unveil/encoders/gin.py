"""Message passing over the edges of graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Range, Spec
from unveil.parts.message import Form, Message, Paths
from unveil.parts.mixing import Mixer, Rooms
from unveil.parts.norms import Standardise
from unveil.parts.ragged import pooled
from unveil.tokens import Tokens


class GraphNet(Encoder):
    """Layers of messages between neighbours, and on top of them as many layers of attention within each graph as are asked for.

    A graph's vector is the mean, sum or greatest value over its nodes of what the last layer says, or of all layers set side by side
    or added.

    Args:
        spec: of the data.
        width: of a layer.
        depth: number of layers of messages.
        dropout: of what goes into a layer.
        residual: add what went into a layer to what comes out.
        readout: the last layer, all of them side by side (the features are then ``depth`` times as wide), or their sum.
        pooling: over the nodes of a graph.
        attention: layers of attention on top.
        heads: of attention, and of gat's layers.
    """

    reads = frozenset({"edges"})
    supports = frozenset({"rows", "edges", "layers"})
    tiny = dict(width=32, depth=3)
    form: ClassVar[Form]

    def __init_subclass__(cls) -> None:
        """Each form has all settings, so that its help says them."""
        _, begins, settings = GraphNet.__doc__.partition("\n\n    Args:")
        cls.__doc__ = cls.__doc__.rstrip() + begins + settings

    def __init__(self, spec: Spec, *, width: Count = 64, depth: Count = 3, dropout: Fraction = 0.0, residual: bool = False,
                 readout: Literal["last", "concatenated", "sum"] = "last", pooling: Literal["mean", "sum", "max"] = "mean",
                 attention: Annotated[int, Range(0)] = 0, heads: Count = 4):
        super().__init__()
        if readout != "last" and attention:
            raise ValueError(f"a readout that is {readout} is one of layers of messages, but attention stands on the last one")
        self.spec, self.depth = spec, depth
        self.dropout, self.residual, self.readout, self.pooling, self.grows = dropout, residual, readout, pooling, pooling == "sum"
        self.width = width * depth if readout == "concatenated" else width
        if readout == "concatenated":  # a layer is then narrower than the features
            self.supports = self.supports - {"layers"}
        self.standardise, self.project = Standardise(spec), nn.Linear(spec.channels, width)
        self.layers = nn.ModuleList(Message(self.form, width, width, edge_channels=spec.edge_channels, heads=heads) for _ in range(depth))
        self.mixers = nn.ModuleList(Mixer(width, heads, spec.code_channels) for _ in range(attention))

    def chain(self) -> list[nn.Module]:
        last = self.mixers[-1].block.norm2 if self.mixers else self.layers[-1].norm
        return [self.project, *self.layers, *self.mixers, last]

    def embed(self, batch: Batch) -> Tokens:
        values = self.standardise(batch)
        return Tokens(self.project(values), batch.where, batch.valid, raw=values, graph=batch.graph)

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = ()) -> Features:
        x, graph, outs = tokens.values, tokens.graph, []
        paths = Paths.of(graph, tokens.valid)
        for layer in self.layers:
            out = layer(F.dropout(x, self.dropout, self.training), paths)
            x = x + out if self.residual else out
            outs.append(x)
        hidden = [outs[number] for number in layers]
        if self.readout != "last":
            x = torch.cat(outs, 1) if self.readout == "concatenated" else sum(outs)
        rooms = Rooms.of(graph) if self.mixers else None
        for mixer in self.mixers:
            x = mixer(x, graph, rooms, tokens.valid)
        return Features(x, pooled(x, tokens.valid, graph, self.pooling), hidden, tokens.where, tokens.valid, graph)


class GIN(GraphNet):
    """Graph isomorphism network (Xu et al. 2019, arXiv 1810.00826), with values of edges where the data have them (GINE)."""

    form = "gin"


class GCN(GraphNet):
    """Graph convolutional network (Kipf and Welling 2017, arXiv 1609.02907). It does not look at values of edges."""

    form = "gcn"


class GAT(GraphNet):
    """Graph attention network (Velickovic et al. 2018, arXiv 1710.10903): a node weighs its neighbours."""

    form = "gat"
