"""A transformer over patches of every channel, whose patches may have any length (SLIP, Chen et al. 2026)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Positive, Spec
from unveil.parts.gated import GatedBlock, xavier
from unveil.parts.norms import Standardise
from unveil.parts.positions import grid_coordinates, rotary
from unveil.tokens import Tokens, pool, take


@lru_cache(maxsize=64)
def resizing(size: int, base: int, device: torch.device) -> Tensor:
    """The matrix ``(size, base)`` float64 that interpolates ``base`` values linearly at ``size`` points, centre on centre, ends held."""
    at = ((torch.arange(size, dtype=torch.float64) + 0.5) * base / size - 0.5).clamp(0, base - 1)
    low = at.floor().long()
    share = (at - low)[:, None]
    one = torch.eye(base, dtype=torch.float64)
    return (one[low] * (1 - share) + one[(low + 1).clamp(max=base - 1)] * share).to(device)


class FlexMLP(nn.Module):
    """Patches of ``p`` values to vectors, for any ``p``: ``outer(silu(inner z)) + straight z`` of ``z = [values, mask, time]``.

    The weights for ``z`` are kept at ``3 base`` inputs and interpolated linearly to ``3 p``, the three thirds as one row, without making up
    for the number of inputs.
    """

    def __init__(self, base: int, width: int, hidden: int, dropout: float):
        super().__init__()
        self.inner, self.straight, self.outer = nn.Linear(3 * base, hidden), nn.Linear(3 * base, width), nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor, time: Tensor) -> Tensor:
        """All ``(..., p)`` -> ``(..., width)``."""
        z = torch.cat([values, mask, time], -1)
        inner, straight = (self.resized(part.weight, z.shape[-1]) for part in (self.inner, self.straight))
        hidden = F.silu(F.linear(z, inner, self.inner.bias))
        return self.drop(self.outer(hidden)) + F.linear(z, straight, self.straight.bias)

    def resized(self, weight: Tensor, size: int) -> Tensor:
        return weight if weight.shape[1] == size else weight @ resizing(size, weight.shape[1], weight.device).to(weight.dtype).T


class Flex(Encoder):
    """Tokens are (channel, patch); all of them attend to all, turned by the number of their channel and of their patch.

    All samples of a batch have patches of one size where a method says which, so shapes are static; of its own accord the network takes
    ``patch``, or where ``seconds`` is given, of each sample the size nearest to so many seconds at its own rate. Then all sizes are
    embedded, each sample keeps its own, and the rest of its tokens count as missing: static again.

    Series are padded in front to whole patches, as missing. Missing values are told to the network as such: the mask is the kind's, from
    before a number stood in for them.

    Args:
        spec: of the data.
        base: patch size at which weights are kept.
        sizes: patch sizes that it is taught with.
        patch: size that it takes of its own accord.
        seconds: length of a patch, where samples say their rate; None takes ``patch``.
        width: D.
        depth: number of blocks.
        heads: attention heads; a head has a multiple of 4 features.
        mlp_ratio: inner width of the embedding and of a block's network over D.
        dropout: in training, of embeddings, attention weights and what attention adds.
        channels: of a sample that are read, at most: the first that are there; None reads all.
        scale: ``"own"`` divides each channel of a sample by the mean of its absolute values; ``"data"`` standardises by all data.
    """

    reads = frozenset({"series"})
    supports = frozenset({"keep", "layers", "patches"})
    tiny = dict(base=4, sizes=(4, 8), patch=8, width=32, depth=2, heads=2, dropout=0.0)

    def __init__(self, spec: Spec, *, base: Count = 16, sizes: tuple[Count, ...] = (4, 6, 8, 12, 16, 20, 25, 32, 64, 128),
                 patch: Count = 16, seconds: Positive | None = None, width: Count = 768, depth: Count = 12, heads: Count = 12,
                 mlp_ratio: Positive = 4.0, dropout: Fraction = 0.1, channels: Count | None = None, scale: Literal["own", "data"] = "own"):
        super().__init__()
        if width % (4 * heads):
            raise ValueError(f"heads must have a multiple of 4 features, width {width} over {heads} heads is not")
        self.spec, self.width, self.depth, self.heads = spec, width, depth, heads
        self.sizes, self.patch, self.seconds, self.channels = tuple(sizes), patch, seconds, channels
        self.standardise = Standardise(spec) if scale == "data" else None
        self.embedding = FlexMLP(base, width, int(mlp_ratio * width), dropout)
        self.blocks = nn.ModuleList(GatedBlock(width, heads, mlp_ratio, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        xavier(self)

    def chain(self) -> list[nn.Module]:
        return [self.embedding, *self.blocks, self.norm]

    def embed(self, batch: Batch, patch: int | None = None) -> Tokens:
        """As every encoder's; ``patch`` is the size of all patches, None leaves it to the encoder."""
        values, mask = self._scaled(batch)
        by_rate = patch is None and self.seconds and "rate" in batch.extras
        x, valid = self._by_rate(values, mask, batch.extras["rate"]) if by_rate else self._patches(values, mask, patch or self.patch)
        complete = batch.valid is None and "channel" not in batch.extras and not by_rate
        grid = x.shape[1:3]
        where = grid_coordinates(grid, x.device).expand(len(x), -1, -1)
        return Tokens(x.flatten(1, 2), where, None if complete else valid.flatten(1), tuple(grid))

    def _scaled(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Values, 0 where they are missing, and the mask of those that are there, both ``(B, C, T)``."""
        values, channel = batch.values if self.standardise is None else self.standardise(batch), batch.extras.get("channel")
        mask = torch.ones_like(values) if batch.valid is None else batch.valid[:, None].to(values.dtype).expand_as(values)
        if channel is not None:
            mask = mask * (channel >= 0)[..., None].to(values.dtype)
            if self.channels and self.channels < values.shape[1]:
                first = (channel < 0).long().argsort(dim=1, stable=True)[:, :self.channels]
                values, mask = take(values, first), take(mask, first)
        values, mask = values[:, :self.channels], mask[:, :self.channels]
        values = values * mask
        if self.standardise is not None:
            return values, mask
        return values / (values.abs().sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp_min(1) + 1e-6), mask

    def _patches(self, values: Tensor, mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Embedded patches ``(B, C, P, D)`` and which of them hold a value ``(B, C, P)``."""
        length = values.shape[-1]
        time = torch.arange(1, length + 1, device=values.device, dtype=values.dtype) / (length + 1)
        cut = [F.pad(x, (-length % size, 0)).unflatten(-1, (-1, size)) for x in (values, mask, time.expand_as(values))]
        return self.embedding(*cut), cut[1].amax(-1) > 0

    def _by_rate(self, values: Tensor, mask: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """The same, of each sample at the size nearest, as a ratio, to ``seconds`` at its rate; to ``patch`` where that is unknown (0)."""
        sizes = torch.tensor(self.sizes, device=values.device, dtype=values.dtype)
        wanted = torch.where(rate > 0, rate.to(values.dtype) * self.seconds, float(self.patch))
        own = (wanted.log()[:, None] - sizes.log()).abs().argmin(1)
        most, x, valid = -(-values.shape[-1] // min(self.sizes)), 0.0, False
        for number, size in enumerate(self.sizes):
            mine = (own == number)[:, None, None]
            embedded, there = self._patches(values, mask, size)
            more = most - there.shape[-1]
            x = x + F.pad(embedded * mine[..., None], (0, 0, 0, more))
            valid = F.pad(there & mine, (0, more)) | valid
        return x, valid

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = ()) -> Features:
        x, valid, where, place = tokens.values, tokens.valid, tokens.where, tokens.where[:1]
        if keep is not None:
            x, where = take(x, keep), take(where, keep)
            valid, place = None if valid is None else take(valid, keep), where
        turn = tuple(part[:, None] for part in rotary(place, self.width // self.heads, 10000.0))
        seen, hidden = None if valid is None else valid[:, None, None], []
        for number, block in enumerate(self.blocks):
            x = block(x, seen, turn)
            if number in layers:
                hidden.append(x)
        local = self.norm(x)
        return Features(local, pool(local, valid), hidden, where, valid)
