"""LIMU-BERT's network for motion sensors, with UniMotion's marks of where a motion happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Index, Positive, Spec
from unveil.errors import Unusable
from unveil.parts.norms import Standardise
from unveil.parts.patches import centres
from unveil.randomness import Generator
from unveil.tokens import Tokens, pool


def nucleus(values: Tensor, *, lag: int, jump: float, shift: int, apart: int) -> Tensor:
    """Where the motion of a series is, by jumps of its energy ``e``, the length of the vector of all channels: bool ``(B, T)``.

    Points are times t where ``|e[t + lag] - e[t]| > jump``, moved by ``shift``; of these the first, and each that is ``apart`` or more from
    the last one that counts. The nucleus goes from the first to the second, or over 10 values from the only one; where there is none, or
    it begins behind the end, it is the first 20 values.

    Args:
        values: ``(B, C, T)`` in the kind's own units.
        lag: values over which energy is compared.
        jump: least change of energy, in the unit of the values.
        shift: values from where a change begins to where motion is.
        apart: least distance of two points.
    """
    length = values.shape[-1]
    energy = values.norm(dim=1)
    place = torch.arange(length, device=values.device)
    lag = min(lag, length - 1)
    found = F.pad((energy[:, lag:] - energy[:, :length - lag]).abs() > jump, (0, lag))
    at = torch.where(found, place, length)
    first = at.amin(-1, keepdim=True)
    second = torch.where(place >= first + apart, at, length).amin(-1, keepdim=True)
    begin, end = first + shift, torch.where(second < length, second, first + 10) + shift
    none = begin >= length
    begin, end = torch.where(none, 0, begin), torch.where(none, 20, end)
    return (place >= begin) & (place < end)


class LIMU(Encoder):
    """A token a time: all its channels, its place, and whether it is in the motion's nucleus; one layer that is applied several times.

    As in the released code attention replaces a token, what is added to it is a linear map of itself, and norms come after. A hidden token
    has the values 0, the mean of the data; its marks stay.

    Args:
        spec: of the data.
        width: D.
        depth: times that the layer is applied.
        heads: of attention.
        hidden: inner width of the layer's network.
        marks: tell each token whether it is in the nucleus, and whether the sensor turns mostly about the axis that it turns about most in
            the whole sample.
        nucleus: where energy jumps, or as control a window of ``apart`` values anywhere, the same for a sample at all times.
        lag: see :func:`nucleus`.
        jump: see :func:`nucleus`.
        shift: see :func:`nucleus`.
        apart: see :func:`nucleus`.
        turns: channels that are rates of turn, from 0; those that the data do not have are left out.
    """

    reads = frozenset({"grid", "series"})
    supports = frozenset({"tokens", "hide", "stretches", "core", "layers"})
    tiny = dict(width=32, depth=2, heads=2, hidden=64, lag=6, jump=2.0, shift=4, apart=12, turns=(0, 1))

    def __init__(self, spec: Spec, *, width: Count = 72, depth: Count = 4, heads: Count = 4, hidden: Count = 144, marks: bool = True,
                 nucleus: Literal["energy", "anywhere"] = "energy", lag: Count = 15, jump: Positive = 8.0, shift: Index = 20,
                 apart: Count = 20, turns: tuple[Index, ...] = (3, 4, 5)):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.spec, self.width, self.depth, self.heads, self.patch_values = spec, width, depth, heads, spec.channels
        self.nucleus, self.how = nucleus, dict(lag=lag, jump=jump, shift=shift, apart=apart)
        self.turns = [channel for channel in turns if channel < spec.channels]
        self.standardise, self.project = Standardise(spec), nn.Linear(spec.channels, width)
        self.place, self.enter = nn.Embedding(spec.shape[0], width), nn.LayerNorm(width)
        self.marks = nn.ModuleList(nn.Embedding(2, width) for _ in range(2 if self.turns else 1)) if marks else None
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def chain(self) -> list[nn.Module]:
        return [self.project, self.qkv, self.out, self.norm1, self.inner, self.outer, self.norm2]

    def units(self) -> list[nn.Module]:
        """None: what is applied several times is not cut."""
        return []

    def embed(self, batch: Batch) -> Tokens:
        raw = self.standardise(batch).transpose(1, 2)
        length = raw.shape[1]
        if length > self.place.num_embeddings:
            raise Unusable(f"the encoder was taught on windows of {self.place.num_embeddings} values and knows no places beyond, here are "
                           f"{length}: cut shorter windows")
        if self.nucleus == "energy":
            values = batch.values if batch.valid is None else batch.values * batch.valid[:, None]
            core = nucleus(values, **self.how)
        else:
            room = max(1, length - self.how["apart"] + 1)
            begin = Generator("a window anywhere", device=raw.device).integers(0, room, 1, keys=batch.ids)
            core = (offset := torch.arange(length, device=raw.device) - begin).ge(0) & (offset < self.how["apart"])
        return Tokens(self.enter(self.project(raw)), centres(batch, (length,), (1,)), batch.valid, (length,), raw, core=core)

    def _marked(self, tokens: Tokens) -> Tensor:
        """What marks and places add to each token, ``(B, N, D)``."""
        at = torch.arange(tokens.values.shape[1], device=tokens.values.device)
        place = self.place(at)
        if self.marks is None:
            return place
        place = place + self.marks[0](tokens.core.long())
        if self.turns:
            std, mean = (getattr(self.standardise, name)[self.turns, 0] for name in ("std", "mean"))
            turn = (tokens.raw[..., self.turns] * std + mean).abs()
            place = place + self.marks[1]((turn.argmax(-1) == pool(turn, tokens.valid).argmax(-1, keepdim=True)).long())
        return place

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = (), hide: Tensor | None = None) -> Features:
        """Tokens to features.

        Args:
            tokens: from :meth:`embed`.
            keep: not supported.
            layers: times of applying the layer, from 0, after which outputs come back in ``hidden``.
            hide: bool ``(B, N)``, tokens whose values are 0.
        """
        if keep is not None:
            raise ValueError("values of a series are hidden, not dropped: give hide instead of keep")
        x, mask, hidden = tokens.values, tokens.valid, []
        if hide is not None:
            x = torch.where(hide[..., None], self.enter(self.project.bias), x)
        x = self.enter(x + self._marked(tokens))
        seen = None if mask is None else mask[:, None, None] | ~mask.any(-1)[:, None, None, None]
        for number in range(self.depth):
            q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            x = F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(-2)
            x = self.norm1(x + self.out(x))
            x = self.norm2(x + self.outer(F.gelu(self.inner(x))))
            if number in layers:
                hidden.append(x)
        return Features(x, pool(x, mask), hidden, tokens.where, mask)
