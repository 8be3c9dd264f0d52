"""PatchTST's network: every channel is a series of its own, read by the same transformer (Nie et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Count, Encoder, Features, Positive, Spec
from unveil.parts.blocks import Block, initialise
from unveil.parts.norms import Standardise
from unveil.parts.patches import centres, token_grid
from unveil.parts.positions import sincos_grid
from unveil.tokens import Tokens, pool


class Channelwise(Encoder):
    """Patches of each channel through pre-norm blocks; channels never meet, until their vectors stand side by side in the sample's.

    Unlike the published network its norms are layer norms before each part, its places fixed waves, and nothing is dropped out.

    Args:
        spec: of the data.
        patch: values in time of a token.
        width: of a token.
        depth: number of blocks.
        heads: of attention.
        mlp_ratio: inner width of a block's network over that of a token.
        normalise: each channel of each sample by its own mean and deviation (RevIN), else as the data had them.
        pooling: a sample's vector is its channels' vectors side by side, or their mean.
    """

    reads = frozenset({"grid", "series"})
    supports = frozenset({"tokens", "hide", "layers"})
    tiny = dict(patch=4, width=32, depth=2, heads=2)

    def __init__(self, spec: Spec, *, patch: Count = 12, width: Count = 128, depth: Count = 3, heads: Count = 16, mlp_ratio: Positive = 4.0,
                 normalise: bool = True, pooling: Literal["channels", "mean"] = "channels"):
        super().__init__()
        token_grid(spec.shape, (patch,))
        self.spec, self.local, self.depth, self.patch, self.patch_values = spec, width, depth, patch, patch
        self.normalise, self.pooling = normalise, pooling
        self.width = width * (spec.channels if pooling == "channels" else 1)
        self.standardise, self.project = Standardise(spec), nn.Linear(patch, width)
        self.blocks = nn.ModuleList(Block(width, heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        initialise(self, self.blocks)

    @property
    def local_width(self) -> int:
        return self.local

    def chain(self) -> list[nn.Module]:
        return [self.project, *self.blocks, self.norm]

    def embed(self, batch: Batch) -> Tokens:
        x = self.standardise(batch)
        if self.normalise:
            there = torch.ones_like(x[:, :1]) if batch.valid is None else batch.valid[:, None].to(x)
            count = there.sum(-1, keepdim=True).clamp_min(1)
            x = x - (x * there).sum(-1, keepdim=True) / count
            x = x * there / ((x.square() * there).sum(-1, keepdim=True) / count + 1e-5).sqrt()
        cells, = token_grid(x.shape[2:], (self.patch,))
        cut = lambda y: y[..., :cells * self.patch].unflatten(-1, (cells, self.patch))
        raw = cut(x).flatten(1, 2)
        time = centres(batch, (cells,), (self.patch,))
        channel = torch.arange(x.shape[1], device=x.device, dtype=time.dtype).repeat_interleave(cells).expand(len(x), -1)
        where = torch.stack([channel, time[..., 0].repeat(1, x.shape[1])], -1)
        valid = None if batch.valid is None else (cut(batch.valid).float().mean(-1) >= 0.5).repeat(1, x.shape[1])
        return Tokens(self.project(raw), where, valid, (x.shape[1], cells), raw)

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = (), hide: Tensor | None = None) -> Features:
        """Tokens to features.

        Args:
            tokens: from :meth:`embed`.
            keep: not supported.
            layers: blocks whose outputs come back in ``hidden``.
            hide: bool ``(B, N)``, tokens whose values are 0.
        """
        if keep is not None:
            raise ValueError("channels of a series keep their length: give hide instead of keep")
        channels, cells = tokens.grid
        x, count = tokens.values, len(tokens.values)
        if hide is not None:
            x = torch.where(hide[..., None], self.project.bias.to(x.dtype), x)
        x = x.unflatten(1, tokens.grid).flatten(0, 1) + sincos_grid((cells,), self.local, x.device)
        mask = None if tokens.valid is None else tokens.valid.unflatten(1, tokens.grid).flatten(0, 1)
        hidden = []
        for number, block in enumerate(self.blocks):
            x = block(x, mask)
            if number in layers:
                hidden.append(x.unflatten(0, (count, channels)).flatten(1, 2))
        x = self.norm(x)
        each = pool(x, mask).unflatten(0, (count, channels))
        pooled = each.flatten(1) if self.pooling == "channels" else each.mean(1)
        return Features(x.unflatten(0, (count, channels)).flatten(1, 2), pooled, hidden, tokens.where, tokens.valid)
