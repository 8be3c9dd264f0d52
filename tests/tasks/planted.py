"""Planted sets for tasks on local features, and a network that only cuts its samples into patches."""

from __future__ import annotations

import numpy as np
import torch

from unveil.contracts import Batch, Encoder, Features
from unveil.data.samples import Samples
from unveil.data.split import Split
from unveil.parts.patches import centres, patchify, token_grid
from unveil.tokens import Tokens, pool


class Patches(Encoder):
    """The raw values of each patch."""

    supports = frozenset({"tokens"})

    def __init__(self, side: int, axes: int, channels: int):
        super().__init__()
        self.patch, self.width = (side,) * axes, channels * side**axes

    def embed(self, batch: Batch) -> Tokens:
        grid = token_grid(tuple(batch.values.shape[2:]), self.patch)
        valid = None if batch.valid is None else patchify(batch.valid[:, None].float(), self.patch).mean(-1) >= 0.5
        return Tokens(patchify(batch.values, self.patch), centres(batch, grid, self.patch), valid, grid)

    def encode(self, tokens: Tokens, keep=None, layers=()) -> Features:
        return Features(tokens.values, pool(tokens.values, tokens.valid), [], tokens.where, tokens.valid)


def series(values: np.ndarray, valid: np.ndarray | None = None, **columns) -> Samples:
    """Series ``(n, C, T)`` as samples."""
    x, seen = torch.as_tensor(values).float(), None if valid is None else torch.as_tensor(valid)
    return Samples(lambda ids: (x[ids], None if seen is None else seen[ids]), len(x), shape=x.shape[2:], channels=x.shape[1],
                   axes=("t", "y")[:x.dim() - 2], spacing=(1.0,) * (x.dim() - 2), unit="s", **columns)


def halves(samples: Samples, name: str = "planted") -> Split:
    """The first half to learn from, the second to score on."""
    first = np.arange(len(samples)) < len(samples) // 2
    return Split(samples.subset(first), samples.subset(~first), name)
