"""The transformer that serves every token kind (ViT, Dosovitskiy et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Count, Encoder, Features, Fraction, Positive, Spec
from unveil.parts.blocks import Block, initialise
from unveil.parts.constants import constant
from unveil.parts.norms import Standardise
from unveil.parts.patches import centres, patchify, token_grid
from unveil.parts.positions import grid_coordinates, rotary, sincos, sincos_grid
from unveil.tokens import Tokens, pool, take, to_dense


class Transformer(Encoder):
    """Patches of a grid with any number of axes and channels, through pre-norm blocks.

    Args:
        spec: of the data.
        patch: side of a patch along every axis.
        width: D.
        depth: number of blocks.
        heads: attention heads.
        mlp_ratio: inner width of a block's network over D.
        class_token: put a learned token in front; it is then the pooled feature, else the mean over tokens is.
        positions: fixed sin-cos vectors that are added, or rotary turns in every block. Both are functions of coordinates, so
            any size or length can be read after training.
        frame: coordinates that positions are made of: ``"view"`` counts patches from the view's own corner, as published
            methods do; ``"source"`` says where the view lay in its sample, in patches of the unscaled sample.
        drop_path: rate of stochastic depth at the last block, rising linearly from 0.
    """

    supports = frozenset({"tokens", "keep", "layers"})
    tiny = dict(patch=4, width=32, depth=2, heads=2)

    def __init__(self, spec: Spec, *, patch: Count = 16, width: Count = 768, depth: Count = 12, heads: Count = 12,
                 mlp_ratio: Positive = 4.0, class_token: bool = False, positions: Literal["sincos", "rotary"] = "sincos",
                 frame: Literal["view", "source"] = "view", drop_path: Fraction = 0.0):
        super().__init__()
        self.spec, self.width, self.depth, self.heads = spec, width, depth, heads
        self.patch = (patch,) * len(spec.shape)
        self.positions, self.frame = positions, frame
        token_grid(spec.shape, self.patch)
        self.patch_values = spec.channels * math.prod(self.patch)
        self.standardise = Standardise(spec)
        self.project = nn.Linear(self.patch_values, width)
        self.blocks = nn.ModuleList(
            Block(width, heads, mlp_ratio, drop_path * number / max(depth - 1, 1)) for number in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.class_token = nn.Parameter(torch.zeros(width)) if class_token else None
        initialise(self, self.blocks)
        if class_token:
            nn.init.trunc_normal_(self.class_token, std=0.02)

    def chain(self) -> list[nn.Module]:
        return [self.project, *self.blocks, self.norm]

    def embed(self, batch: Batch) -> Tokens:
        values = self.standardise(batch)
        raw, grid = patchify(values, self.patch), token_grid(values.shape[2:], self.patch)
        valid = None
        if batch.valid is not None:
            valid = patchify(batch.valid[:, None].to(values.dtype), self.patch).mean(-1) >= 0.5
        return Tokens(self.project(raw), centres(batch, grid, self.patch), valid, grid, raw)

    def _coordinates(self, tokens: Tokens) -> Tensor:
        """Where tokens are, in patches: ``(N, axes)`` where all samples agree, else ``(B, N, axes)``."""
        if self.frame == "view" and tokens.grid is not None:
            return grid_coordinates(tokens.grid, tokens.values.device)
        step = constant(tuple(side * gap for side, gap in zip(self.patch, self.spec.spacing, strict=True)), tokens.where)
        return tokens.where / step - 0.5

    def _add_positions(self, tokens: Tokens) -> Tensor:
        x = tokens.values
        if self.positions == "sincos":
            if self.frame == "view" and tokens.grid is not None:
                return x + sincos_grid(tokens.grid, self.width, x.device)
            return x + sincos(self._coordinates(tokens), self.width)
        return x

    def encode(self, tokens: Tokens, keep: Tensor | None = None, layers: Sequence[int] = ()) -> Features:
        x, mask, where, place = self._add_positions(tokens), tokens.valid, tokens.where, None
        turn = self._turns(tokens, keep) if self.positions == "rotary" else None
        if keep is not None:
            x, where = take(x, keep), take(where, keep)
            mask = None if mask is None else take(mask, keep)
        if tokens.packed:
            x, mask, place = to_dense(x, tokens.graph.sample, tokens.graph.count, tokens.graph.longest)
        lead = 0 if self.class_token is None else 1
        seen = mask
        if lead:
            x = torch.cat([self.class_token.to(x.dtype).expand(x.shape[0], 1, -1), x], 1)
            seen = None if mask is None else nn.functional.pad(mask, (1, 0), value=True)
        hidden = []
        for number, block in enumerate(self.blocks):
            x = block(x, seen, turn)
            if number in layers:
                hidden.append(x[:, lead:])
        x = self.norm(x)
        local = x[:, lead:]
        pooled = x[:, 0] if lead else pool(local, mask)
        if place is not None:
            local, hidden, mask = local.flatten(0, 1)[place], [h.flatten(0, 1)[place] for h in hidden], tokens.valid
        return Features(local, pooled, hidden, where, mask, tokens.graph)

    def _turns(self, tokens: Tokens, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rotary turns of the kept tokens, shaped to meet ``(B, heads, N, D / heads)``; a class token is not turned."""
        place = self._coordinates(tokens)
        if tokens.packed:
            place, _, _ = to_dense(place, tokens.graph.sample, tokens.graph.count, tokens.graph.longest)
        if keep is not None:
            place = take(place.expand(len(keep), -1, -1), keep)
        cos, sin = rotary(place, self.width // self.heads)
        if self.class_token is not None:
            cos, sin = nn.functional.pad(cos, (0, 0, 1, 0), value=1.0), nn.functional.pad(sin, (0, 0, 1, 0))
        return (cos, sin) if cos.dim() == 2 else (cos[:, None], sin[:, None])
