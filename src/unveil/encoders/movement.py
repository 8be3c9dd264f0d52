"""The transformer of movement elements: one token a stretch of acceleration between zero crossings (BioPM, Tarale et al. 2026)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Spec
from unveil.parts.movement import POINTS, taken_apart
from unveil.parts.norms import BatchNorm
from unveil.tokens import Tokens, pool

AXIS = 3  # features that say which axis an element is of


class Waves(nn.Module):
    """Waveforms ``(..., 32)`` to vectors ``(..., width)`` by three convolutions, a mean over time at the end."""

    def __init__(self, width: int):
        super().__init__()
        sizes = ((1, 16, 5, 2), (16, 32, 3, 1), (32, width, 3, 1))
        self.convs = nn.ModuleList(nn.Conv1d(a, b, side, stride, side // 2, bias=False) for a, b, side, stride in sizes)
        self.norms = nn.ModuleList(BatchNorm(b) for _, b, _, _ in sizes)

    def forward(self, waves: Tensor, valid: Tensor) -> Tensor:
        x, real = waves.reshape(-1, 1, POINTS), valid.flatten()
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = F.gelu(norm(conv(x), real))
            x = F.max_pool1d(x, 2) if number == 1 else x
        return x.mean(-1).unflatten(0, valid.shape)


class Layer(nn.Module):
    """Attention with a learned bias for how far two tokens are apart, then a two-layer network; the norm comes after each sum."""

    def __init__(self, width: int, heads: int, hidden: int, reach: int, dropout: float):
        super().__init__()
        self.heads, self.reach = heads, reach
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Embedding(2 * reach + 1, heads)
        nn.init.trunc_normal_(self.bias.weight, std=0.1)
        self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor, steps: Tensor) -> Tensor:
        """``x (B, N, D)``; ``valid`` bool ``(B, N)``; ``steps (B, N, N)`` from :func:`time_steps`."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        place = torch.arange(x.shape[1], device=x.device)
        apart = (place - place[:, None]).clamp(-self.reach, self.reach)
        score = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        score = score + self.bias(apart + self.reach).permute(2, 0, 1) + self.bias(steps + self.reach).permute(0, 3, 1, 2)
        score = score.masked_fill(~valid[:, None, None], -1e9)
        mixed = (self.drop(score.softmax(-1)) @ v).transpose(1, 2).flatten(-2)
        x = self.norm1(x + self.drop(self.out(mixed)))
        return self.norm2(x + self.outer(self.drop(F.gelu(self.inner(x)))))


def time_steps(centre: Tensor, valid: Tensor, reach: int) -> Tensor:
    """How far tokens are apart in time, in medians of the distance between neighbours: int64 ``(B, N, N)``, query less key, up to
    ``reach`` either way.

    Args:
        centre: ``(B, N)``.
        valid: bool ``(B, N)``; other tokens have no part in the median, unlike in the published code, where their centres are 0 and make
            it depend on how many there are.
        reach: greatest distance that is told.
    """
    gap = centre[:, 1:] - centre[:, :-1]
    both = valid[:, 1:] & valid[:, :-1]
    order = gap.masked_fill(~both, float("inf")).sort(-1).values
    middle = order.gather(1, (both.sum(-1, keepdim=True) - 1).clamp_min(0) // 2)
    middle = torch.where(middle.isfinite() & (middle > 0), middle, 1.0)
    return ((centre[:, :, None] - centre[:, None]) / middle[..., None]).round().clamp(-reach, reach).long()


class Movement(Encoder):
    """Movement elements of acceleration as tokens, through post-norm layers.

    A token is what three convolutions say of the element's waveform, a vector of its axis, and its length. A hidden token is a learned
    vector in place of all three; where it is in time is still told. The vector of a sample is mean and deviation of its tokens and, beside
    it, gravity as it was measured.

    Args:
        spec: of the data.
        width: of a token.
        depth: number of layers.
        heads: of attention.
        hidden: inner width of a layer's network.
        dropout: in attention and after it.
        reach: greatest distance, in tokens and in median distances, that attention tells from greater ones.
        length: an element's length enters in values, as published, or in seconds, which means the same at any rate.
        axes: of acceleration.
        read: what a sample's vector is made of; gravity alone and tokens alone are controls.
        gravity: points of each axis of gravity in that vector.
    """

    reads = frozenset({"movements"})
    supports = frozenset({"hide", "spans", "layers"})
    tiny = dict(width=32, depth=2, heads=2, hidden=64, read="tokens")
    patch_values = POINTS

    def __init__(self, spec: Spec, *, width: Count = 64, depth: Count = 5, heads: Count = 4, hidden: Count = 2048, dropout: Fraction = 0.02,
                 reach: Count = 15, length: Literal["values", "seconds"] = "values", axes: Count = 3,
                 read: Literal["both", "tokens", "gravity"] = "both", gravity: Count = 300):
        super().__init__()
        if width <= AXIS + 1 or width % heads:
            raise ValueError(f"width {width} must be above {AXIS + 1} and a multiple of heads {heads}")
        self.spec, self.depth, self.reach, self.read, self.points = spec, depth, reach, read, gravity
        self.local, self.content = width, width - AXIS - 1
        self.width = 2 * width * (read != "gravity") + axes * gravity * (read != "tokens")
        self.duration = spec.shape[0] * spec.spacing[0]
        self.scale = spec.spacing[0] if length == "seconds" else 1.0
        self.waves, self.axis = Waves(self.content), nn.Embedding(axes, AXIS)
        self.mask_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(width), std=0.2))
        self.place, self.enter = nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, width)), nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width, heads, hidden, reach, dropout) for _ in range(depth))

    @property
    def local_width(self) -> int:
        return self.local

    def chain(self) -> list[nn.Module]:
        return [self.waves, *self.layers, self.layers[-1].norm2]

    def embed(self, batch: Batch) -> Tokens:
        waves, centre, axis, long = taken_apart(batch.extras["elements"])
        valid, length = axis >= 0, batch.values.shape[-1]
        facts = torch.cat([self.axis(axis.clamp_min(0)), (long * self.scale)[..., None]], -1)
        values = torch.cat([self.waves(waves, valid), facts.to(waves)], -1)
        where = centre * self.duration
        half = (long - 2).clamp_min(0) / 2 * (self.duration / length)
        lead = F.interpolate(batch.extras["gravity"], self.points, mode="linear").flatten(1)[:, None] if self.read != "tokens" else None
        return Tokens(values, where[..., None], valid, raw=waves, lead=lead, span=torch.stack([where - half, where + half], -1))

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = (), hide: Tensor | None = None) -> Features:
        """Tokens to features.

        Args:
            tokens: from :meth:`embed`.
            keep: not supported.
            layers: whose outputs come back in ``hidden``.
            hide: bool ``(B, N)``, tokens that are hidden.
        """
        if keep is not None:
            raise ValueError("movement elements are hidden, not dropped: give hide instead of keep")
        share, valid, hidden = tokens.where[..., 0] / self.duration, tokens.valid, []
        x = tokens.values if hide is None else torch.where(hide[..., None], self.mask_token.to(tokens.values), tokens.values)
        x = self.enter(x + self.place(share[..., None]))
        steps = time_steps(share, valid, self.reach)
        for number, layer in enumerate(self.layers):
            x = layer(x, valid, steps)
            if number in layers:
                hidden.append(x)
        return Features(x, self._pooled(x, valid, tokens.lead), hidden, tokens.where, valid)

    def _pooled(self, x: Tensor, valid: Tensor, gravity: Tensor | None) -> Tensor:
        mean = pool(x, valid)
        there = valid.to(x.dtype)[..., None]
        spread = ((x - mean[:, None]).square() * there).sum(1) / there.sum(1).clamp_min(2)
        own = [mean, (spread + 1e-12).sqrt()] if self.read != "gravity" else []
        return torch.cat(own if gravity is None else [*own, gravity[:, 0]], -1)
