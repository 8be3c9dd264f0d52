"""TS2Vec's network: a feature a time, by convolutions whose reach doubles from one to the next (Yue et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Spec
from unveil.parts.norms import Standardise
from unveil.parts.patches import centres
from unveil.tokens import Tokens, pool


class Reaching(nn.Module):
    """Two convolutions of side 3 beside a shortcut, both with gaps of ``reach``."""

    def __init__(self, a: int, b: int, reach: int, closing: bool):
        super().__init__()
        self.first, self.second = (nn.Conv1d(size, b, 3, padding=reach, dilation=reach) for size in (a, b))
        self.shortcut = nn.Conv1d(a, b, 1) if a != b or closing else None

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.shortcut is None else self.shortcut(x)
        return short + self.second(F.gelu(self.first(F.gelu(x))))


class Dilated(Encoder):
    """A linear map of each time's values, then residual blocks of dilated convolutions. A sample's vector is the maximum over time.

    Tokens that are taken from a series are read as a series of their own. A hidden token is 0 after the linear map.

    Args:
        spec: of the data.
        width: D.
        hidden: width of all blocks but the last.
        depth: number of blocks but the last.
        dropout: of the features of each time.
        pooling: the maximum over time, as published, or the mean.
    """

    reads = frozenset({"grid", "series"})
    supports = frozenset({"tokens", "hide", "stretches"})
    tiny = dict(width=32, hidden=16, depth=4)

    def __init__(self, spec: Spec, *, width: Count = 320, hidden: Count = 64, depth: Count = 10, dropout: Fraction = 0.1,
                 pooling: Literal["max", "mean"] = "max"):
        super().__init__()
        self.spec, self.width, self.depth, self.pooling, self.patch_values = spec, width, depth + 1, pooling, spec.channels
        self.standardise, self.project = Standardise(spec), nn.Linear(spec.channels, hidden)
        sizes = [hidden] * (depth + 1) + [width]
        self.blocks = nn.ModuleList(Reaching(a, b, 2**number, number == depth) for number, (a, b) in enumerate(pairwise(sizes)))
        self.drop = nn.Dropout(dropout)

    def chain(self) -> list[nn.Module]:
        return [self.project, *self.blocks, self.drop]

    def embed(self, batch: Batch) -> Tokens:
        raw = self.standardise(batch).transpose(1, 2)
        length = raw.shape[1]
        return Tokens(self.project(raw), centres(batch, (length,), (1,)), batch.valid, (length,), raw)

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = (), hide: Tensor | None = None) -> Features:
        """Tokens to features.

        Args:
            tokens: from :meth:`embed`, or a stretch of them.
            keep: not supported.
            layers: not supported.
            hide: bool ``(B, N)``, tokens that are 0.
        """
        if keep is not None or layers:
            raise ValueError("a convolutional network cannot drop tokens or return hidden layers: use --encoder transformer")
        x, valid = tokens.values, tokens.valid
        if hide is not None or valid is not None:
            seen = ~hide if valid is None else valid if hide is None else valid & ~hide
            x = x * seen[..., None]
        x = x.transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        local = self.drop(x.transpose(1, 2))
        if self.pooling == "mean":
            return Features(local, pool(local, valid), where=tokens.where, valid=valid)
        there = local if valid is None else local.masked_fill(~valid[..., None] & valid.any(-1)[:, None, None], float("-inf"))
        return Features(local, there.amax(1), where=tokens.where, valid=valid)
