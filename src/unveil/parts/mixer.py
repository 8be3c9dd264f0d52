"""Channels of unequal number and place to a fixed number of vectors: what a channel is, and queries that look at those that are there."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch
from unveil.parts.blocks import initialise

NAMES = 256  # numbers by which channels of unknown place are told apart, and 0


def waves(place: Tensor, width: int, shortest: float = 0.125) -> Tensor:
    """Fixed sines and cosines of places (Tancik et al. 2020, along the axes), of wavelengths from 2 down to ``shortest`` in equal steps of
    pitch.

    Args:
        place: ``(..., axes)`` in head radii.
        width: length of the result; each axis takes an equal even share, what is left over stays zero.
        shortest: wavelength.

    Returns:
        ``(..., width)``.
    """
    half = width // (2 * place.shape[-1])
    turns = 0.5 * (2 / shortest) ** (torch.arange(half, device=place.device) / max(half - 1, 1))
    angle = 2 * math.pi * place[..., None] * turns.to(place.dtype)
    table = torch.cat([angle.sin(), angle.cos()], -1).flatten(-2)
    return F.pad(table, (0, width - table.shape[-1]))


class ChannelVectors(nn.Module):
    """What a channel is, as a vector: fixed waves of the place of its electrode, or a learned vector where that is unknown."""

    def __init__(self, width: int):
        super().__init__()
        self.names = nn.Embedding(NAMES, width)

    def forward(self, batch: Batch) -> Tensor:
        """``(B, C, width)``; of channels that are not there it means nothing."""
        channel, place = batch.extras["channel"], batch.extras["place"].to(self.names.weight.dtype)
        return torch.where((channel == 0)[..., None], waves(place, self.names.embedding_dim), self.names(channel.clamp_min(0)))


class Mixer(nn.Module):
    """Learned queries that look at the channels of one moment, whichever are there (Doner et al. 2025, LUNA), then a two-layer network that
    is added to what they found.

    Args:
        width: of a channel's vector, and of what a query finds.
        queries: their number.
        heads: attention heads.
    """

    def __init__(self, width: int, queries: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"mixer width {width} is not a multiple of mixer heads {heads}")
        self.heads = heads
        self.queries = nn.Parameter(torch.empty(queries, width))
        self.of_queries, self.of_channels, self.inside = (nn.LayerNorm(width) for _ in range(3))
        self.ask, self.told, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for part in (self.ask, self.told, self.out, self.inner, self.outer):
            nn.init.xavier_normal_(part.weight)
            nn.init.zeros_(part.bias)
        nn.init.orthogonal_(self.queries)

    def forward(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """What the queries find, and at what they look.

        Args:
            x: ``(B, N, C, width)``, at each of N moments a vector a channel.
            there: bool ``(B, C)``. A sample without any channel finds the mean of nothing, all the same but finite.

        Returns:
            ``(B, N, Q, width)``, and the weights of the attention, the mean over heads ``(B, N, Q, C)``.
        """
        seen = (there | ~there.any(-1, keepdim=True))[:, None, None, None]
        q = self.ask(self.of_queries(self.queries)).unflatten(-1, (self.heads, -1)).transpose(0, 1)
        k, v = self.told(self.of_channels(x)).unflatten(-1, (2, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        found = self.out((weights.to(v.dtype) @ v).transpose(-2, -3).flatten(-2))
        return found + self.outer(F.gelu(self.inner(self.inside(found)))), weights.mean(2)


class ChannelDecoder(nn.Module):
    """What each channel of a sample reads at a moment, from a vector of the moment and from what the channel is.

    Args:
        width: of a moment's vector.
        patch: values in time that a moment has.
    """

    def __init__(self, width: int, patch: int):
        super().__init__()
        self.channels, self.told = ChannelVectors(width), nn.Linear(width, 2 * width)
        self.norm, self.inner, self.outer = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, patch)
        for part in (self.told, self.inner, self.outer):
            initialise(part)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """``x (B, M, width)`` of the moments of ``batch`` -> ``(B, M, C, patch)``."""
        scale, shift = self.told(self.channels(batch))[:, None].chunk(2, -1)
        return self.outer(F.gelu(self.inner(self.norm(x[:, :, None] * (1 + scale) + shift))))
