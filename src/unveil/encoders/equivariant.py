"""Attention between atoms that carry numbers and vectors: what is said of a sample turns, shifts and mirrors as the sample does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Positive, Spec
from unveil.parts.blocks import Drop
from unveil.parts.conditioning import AdaNorm, Condition
from unveil.parts.elements import Elements, gathered
from unveil.parts.radial import ExpNormal, cosine_cutoff, lengths
from unveil.parts.ragged import pooled
from unveil.parts.vectors import VectorDyT, VectorNorm, limited
from unveil.tokens import Tokens

NORMS = {"norm": VectorNorm, "dyt": VectorDyT, "none": nn.Identity}


class Equivariant(Encoder):
    """Equivariant transformer of TorchMD-Net (Thoelke and De Fabritiis 2022, arXiv 2202.02541) with the conditioned norms of SCD (Perez and
    Gomez-Bombarelli 2026, arXiv 2603.17196), for clouds of atoms, open or periodic.

    A row holds D numbers, which no motion changes, and D vectors, which turn with the sample. Attention has no softmax: a weight is
    ``SiLU(sum of query, key and a filter of the distance)``; values are filtered by distance too and fade out at the cutoff. Every layer is
    told a vector a sample, ``condition``; where none is given the learned token ``unconditioned`` stands in its place.

    Args:
        spec: of the data; places in the unit of the cutoff.
        width: D.
        depth: number of layers.
        heads: attention heads.
        radial: number of functions of the distance.
        cutoff: distance up to which atoms see each other.
        neighbours: the nearest that an atom sees, published 32; None for all within the cutoff. Where some are equally near, as in
            crystals, a limit cuts between them by rounding, and is then not quite equivariant.
        elements: largest atomic number.
        readout: pooled features are the mean over atoms, or the sum, for what grows with size.
        vector_norm: of vectors before a layer: by their length, or as released ``"dyt"``, which is not equivariant, or none.
        drop_path: rate of stochastic depth.
        drop_unit: what is dropped at once: an atom, as released, or a whole sample.
        clamp: numbers and vectors no larger than this leave a layer.
    """

    reads = frozenset({"places"})
    supports = frozenset({"rows", "layers", "vectors", "condition"})
    waits = "how many neighbours there are is known by looking"
    tiny = dict(width=32, depth=2, heads=2, radial=16)

    def __init__(self, spec: Spec, *, width: Count = 128, depth: Count = 6, heads: Count = 8, radial: Count = 32, cutoff: Positive = 5.0,
                 neighbours: Count | None = None, elements: Count = 118, readout: Literal["mean", "sum"] = "mean",
                 vector_norm: Literal["norm", "dyt", "none"] = "norm", drop_path: Fraction = 0.0,
                 drop_unit: Literal["atom", "sample"] = "atom", clamp: Positive = 1000.0):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.spec, self.width, self.depth, self.readout, self.grows = spec, width, depth, readout, readout == "sum"
        self.drop, self.drop_unit = Drop(drop_path), drop_unit
        self.elements = Elements(width, elements, cutoff, neighbours, loops=True)
        self.basis, self.condition = ExpNormal(radial, cutoff), Condition(width, clamp)
        self.surroundings = _Surroundings(width, radial, elements)
        # Vectors are zero before the first layer, so it has nothing to map; a bias of "dyt" makes them something even there.
        self.layers = nn.ModuleList(_Layer(width, heads, radial, vector_norm, number > 0 or vector_norm == "dyt", clamp)
                                    for number in range(depth))

    @property
    def unconditioned(self) -> Tensor:
        """``(1, D)``: what stands for a condition that is not given."""
        return self.condition.none

    def chain(self) -> list[nn.Module]:
        return [self.elements, self.surroundings, *self.layers, self.layers[-1].norm]

    def embed(self, batch: Batch) -> Tokens:
        return self.elements(batch)

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = (), condition: Tensor | None = None) -> Features:
        """``condition (B, D)``: a vector a sample, told to every layer. ``keep`` is not supported."""
        graph, hidden = tokens.graph, []
        near = self._near(tokens)
        x = self.surroundings(tokens, near)
        v, told = x.new_zeros(len(x), 3, self.width), self.condition(condition, graph.sample, graph.count)
        for number, layer in enumerate(self.layers):
            kept = self.drop(x.new_ones(len(x), 1)) if self.drop_unit == "atom" else self.drop(x.new_ones(graph.count, 1))[graph.sample]
            x, v = layer(x, v, near, told, kept)
            if number in layers:
                hidden.append(x)
        return Features(x, pooled(x, tokens.valid, graph, self.readout), hidden, tokens.where, tokens.valid, graph, v)

    def _near(self, tokens: Tokens) -> Near:
        graph = tokens.graph
        distance, direction = lengths(graph.edge_values.to(self.basis.centres.dtype))
        share = cosine_cutoff(distance, self.elements.cutoff)[:, None]
        return Near(graph.edges, self.basis(distance), direction, share if graph.edge_valid is None else share * graph.edge_valid[:, None])


class Near(NamedTuple):
    """Of the edges: rows from and to ``(2, E)``, functions of the distance ``(E, K)``, directions ``(E, 3)``, and the share ``(E, 1)`` to
    which each counts, 0 at the cutoff and where it was taken away."""

    edges: Tensor
    radial: Tensor
    direction: Tensor
    share: Tensor


class _Surroundings(nn.Module):
    """Tells each atom which elements stand around it, before any layer; itself it is not told."""

    def __init__(self, width: int, radial: int, elements: int):
        super().__init__()
        self.table, self.filter, self.merge = nn.Embedding(elements + 1, width), nn.Linear(radial, width), nn.Linear(2 * width, width)
        for part in (self.filter, self.merge):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)

    def forward(self, tokens: Tokens, near: Near) -> Tensor:
        x, others = tokens.values, len(near.share) - len(tokens.values)  # loops come last
        start, end = near.edges[:, :others]
        message = self.table(tokens.raw[:, 0].long())[start] * self.filter(near.radial[:others]) * near.share[:others]
        return self.merge(torch.cat([x, gathered(message, end, len(x)).to(x)], -1))


class _Layer(nn.Module):
    """Attention between neighbours, added to numbers and vectors.

    Args:
        width: D.
        heads: attention heads.
        radial: number of functions of the distance.
        vector_norm: of vectors before anything reads them.
        mapped: there are vectors to read; in the first layer there are none yet.
        clamp: the largest number, and the longest vector, that leaves.
    """

    def __init__(self, width: int, heads: int, radial: int, vector_norm: str, mapped: bool, clamp: float):
        super().__init__()
        self.heads, self.clamp, parts = heads, clamp, 3 if mapped else 2
        self.adapt, self.norm = AdaNorm(width), nn.LayerNorm(width)
        self.vector_norm = NORMS[vector_norm](width) if mapped else None
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, parts * width)
        self.key_filter, self.value_filter = nn.Linear(radial, width), nn.Linear(radial, parts * width)
        self.out = nn.Linear(width, 3 * width if mapped else width)
        self.vectors = nn.Linear(width, 3 * width, bias=False) if mapped else None
        for part in self.children():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def _messages(self, h: Tensor, v: Tensor, near: Near) -> tuple[Tensor, Tensor]:
        """What each edge carries: numbers ``(E, D)`` and vectors ``(E, 3, D)``."""
        (start, end), split = near.edges, lambda y: y.unflatten(-1, (self.heads, -1))
        weight = split(self.query(h))[end] * split(self.key(h))[start] * split(F.silu(self.key_filter(near.radial)))
        value = split(self.value(h))[start] * split(F.silu(self.value_filter(near.radial)) * near.share)
        scalar, *turned, outward = value.split(h.shape[1] // self.heads, -1)
        message = outward.flatten(1)[:, None] * near.direction[..., None]
        for gain in turned:
            message = message + v[start] * gain.flatten(1)[:, None]
        return (scalar * F.silu(weight.sum(-1, keepdim=True))).flatten(1), message

    def forward(self, x: Tensor, v: Tensor, near: Near, told: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` and the condition ``told (sum N, D)``, ``v (sum N, 3, D)``; ``kept (sum N, 1)`` scales what is added."""
        h, gate = self.adapt(x, told)
        read = v if self.vector_norm is None else self.vector_norm(v)
        scalar, dv = (gathered(message, near.edges[1], len(x)) for message in self._messages(h, read, near))
        dx = self.out(scalar)
        if self.vectors is not None:
            gain, inner, dx = dx.chunk(3, -1)
            left, right, mixed = self.vectors(read).chunk(3, -1)
            dx, dv = dx + inner * (left * right).sum(1), dv + mixed * gain[:, None]
        x = self.norm(x + kept * gate * dx)
        return x.clamp(-self.clamp, self.clamp), limited(v + kept[..., None] * dv, self.clamp)
