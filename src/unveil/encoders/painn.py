"""Messages between atoms that carry numbers and vectors, the small way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Positive, Spec
from unveil.parts.conditioning import AdaNorm, Condition
from unveil.parts.elements import Elements, gathered
from unveil.parts.precision import wide
from unveil.parts.radial import Bessel, cosine_cutoff, lengths
from unveil.parts.ragged import pooled
from unveil.tokens import Tokens


class PaiNN(Encoder):
    """Polarizable atom interaction network (Schuett et al. 2021, arXiv 2102.03150), for clouds of atoms, open or periodic.

    Each layer sends messages along the edges (products of what an atom holds and a filter of the distance), then lets the numbers and the
    vectors of an atom meet. It is told a vector a sample, ``condition``, before every message as in SCD (arXiv 2603.17196), which the paper
    has not; where none is given the learned token ``unconditioned`` stands in its place.

    Args:
        spec: of the data; places in the unit of the cutoff.
        width: D.
        depth: number of layers.
        radial: number of functions of the distance.
        cutoff: distance up to which atoms see each other.
        neighbours: the nearest that an atom sees; None for all within the cutoff.
        elements: largest atomic number.
        readout: pooled features are the mean over atoms, or the sum, for what grows with size.
        clamp: numbers of a condition no larger than this reach a layer.
    """

    reads = frozenset({"places"})
    supports = frozenset({"rows", "layers", "vectors", "condition"})
    waits = "how many neighbours there are is known by looking"
    tiny = dict(width=32, depth=2, radial=12)

    def __init__(self, spec: Spec, *, width: Count = 128, depth: Count = 3, radial: Count = 20, cutoff: Positive = 5.0,
                 neighbours: Count | None = None, elements: Count = 118, readout: Literal["mean", "sum"] = "mean",
                 clamp: Positive = 1000.0):
        super().__init__()
        self.spec, self.width, self.depth, self.readout, self.grows = spec, width, depth, readout, readout == "sum"
        self.elements = Elements(width, elements, cutoff, neighbours)
        self.basis, self.condition = Bessel(radial, cutoff), Condition(width, clamp)
        self.layers = nn.ModuleList(_Layer(width, radial) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    @property
    def unconditioned(self) -> Tensor:
        """``(1, D)``: what stands for a condition that is not given."""
        return self.condition.none

    def chain(self) -> list[nn.Module]:
        return [self.elements, *self.layers, self.norm]

    def embed(self, batch: Batch) -> Tokens:
        return self.elements(batch)

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = (), condition: Tensor | None = None) -> Features:
        """``condition (B, D)``: a vector a sample, told to every layer. ``keep`` is not supported."""
        graph, hidden = tokens.graph, []
        distance, direction = lengths(graph.edge_values.to(self.basis.waves.dtype))
        share = cosine_cutoff(distance, self.elements.cutoff)[:, None]
        share = share if graph.edge_valid is None else share * graph.edge_valid[:, None]
        radial, told = self.basis(distance), self.condition(condition, graph.sample, graph.count)
        x = tokens.values
        v = x.new_zeros(len(x), 3, self.width)
        for number, layer in enumerate(self.layers):
            x, v = layer(x, v, graph.edges, radial, direction, share, told)
            if number in layers:
                hidden.append(x)
        x = self.norm(x)
        return Features(x, pooled(x, tokens.valid, graph, self.readout), hidden, tokens.where, tokens.valid, graph, v)


class _Layer(nn.Module):
    def __init__(self, width: int, radial: int):
        super().__init__()
        self.adapt = AdaNorm(width)
        self.inner, self.outer, self.filter = nn.Linear(width, width), nn.Linear(width, 3 * width), nn.Linear(radial, 3 * width)
        self.turned, self.meet = nn.Linear(width, 2 * width, bias=False), nn.Linear(2 * width, width)
        self.told = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, v: Tensor, edges: Tensor, radial: Tensor, direction: Tensor, share: Tensor,
                told: Tensor) -> tuple[Tensor, Tensor]:
        (start, end), (h, gate) = edges, self.adapt(x, told)
        message = self.outer(F.silu(self.inner(h)))[start] * (self.filter(radial) * share)
        scalar, along, outward = message.chunk(3, -1)
        x = x + gate * gathered(scalar, end, len(x))
        v = v + gathered(v[start] * along[:, None] + outward[:, None] * direction[..., None], end, len(x))
        mixed, measured = self.turned(v).chunk(2, -1)
        length = (wide(measured).square().sum(1) + 1e-8).sqrt()
        plain, inner, gain = self.told(F.silu(self.meet(torch.cat([x, length.to(x)], -1)))).chunk(3, -1)
        return x + plain + inner * (mixed * measured).sum(1), v + gain[:, None] * mixed
