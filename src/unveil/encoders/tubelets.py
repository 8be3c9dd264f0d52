"""A transformer that reads a recording as a film: frames of channels by time, cut into small boxes."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor, nn

from unveil.contracts import Batch, Count, Fraction, Positive, Spec
from unveil.encoders.transformer import Transformer
from unveil.parts.blocks import initialise
from unveil.parts.frames import frame_starts, stacked
from unveil.parts.patches import patchify
from unveil.parts.positions import grid_coordinates
from unveil.tokens import Tokens


class Tubelets(Transformer):
    """Windows of a recording stand one behind the other as the frames of a film, channels down and time across; a token is a box of frames,
    neighbouring channels and time (Hojjati et al. 2025, EEG-VJEPA). Positions are fixed sin-cos vectors of the three.

    What does not fill a last box is filled with zeros, so that every channel is read; the published code leaves it out.

    Args:
        spec: of the data, series with the same channels.
        frame: values in time of a frame.
        hop: values from the start of a frame to that of the next.
        frames: how many frames are read, at most; of more that a sample has, evenly spaced ones.
        patch: frames, channels and values in time of a token.
        width: D.
        depth: number of blocks.
        heads: attention heads.
        mlp_ratio: inner width of a block's network over D.
        drop_path: rate of stochastic depth at the last block, rising linearly from 0.
    """

    reads = frozenset({"grid", "series"})
    supports = frozenset({"tokens", "keep", "layers", "frames"})
    tiny = dict(frame=16, hop=16, patch=(2, 1, 4), width=32, depth=2, heads=2)

    def __init__(self, spec: Spec, *, frame: Count = 500, hop: Count = 250, frames: Count = 32,
                 patch: tuple[Count, Count, Count] = (4, 4, 30), width: Count = 384, depth: Count = 12, heads: Count = 6,
                 mlp_ratio: Positive = 4.0, drop_path: Fraction = 0.0):
        super().__init__(spec, patch=1, width=width, depth=depth, heads=heads, mlp_ratio=mlp_ratio, drop_path=drop_path)
        self.long, self.hop, self.most, self.patch = frame, hop, frames, tuple(patch)
        self.patch_values = math.prod(self.patch)
        self.project = nn.Linear(self.patch_values, width)
        initialise(self.project)

    def frames(self, batch: Batch) -> Batch:
        """The batch with its series cut into frames: ``values (B, C, frames, frame)`` and ``valid (B, frames, frame)``, which :meth:`embed`
        takes as it takes series."""
        starts = frame_starts(batch.values.shape[-1], self.long, self.hop, self.most)
        valid = None if batch.valid is None else stacked(batch.valid, self.long, starts)
        return replace(batch, values=stacked(batch.values, self.long, starts), valid=valid)

    def embed(self, batch: Batch) -> Tokens:
        starts = frame_starts(batch.values.shape[-1], self.long, self.hop, self.most) if batch.values.dim() == 3 else None
        batch = batch if starts is None else self.frames(batch)
        flat = replace(batch, values=batch.values.flatten(2), valid=None if batch.valid is None else batch.valid.flatten(1))
        values = self.standardise(flat).unflatten(2, batch.values.shape[2:]).transpose(1, 2)
        grid = tuple(-(-size // side) for size, side in zip(values.shape[1:], self.patch, strict=True))
        cut = lambda x: patchify(nn.functional.pad(x, self._room(x, grid))[:, None], self.patch)
        raw, valid = cut(values), None
        if batch.valid is not None:
            valid = cut(batch.valid[:, :, None].expand_as(values).to(values.dtype)).mean(-1) >= 0.5
        return Tokens(self.project(raw), self._where(batch, grid), valid, grid, raw)

    def _room(self, x: Tensor, grid: tuple[int, ...]) -> list[int]:
        """What is to be filled behind each axis of ``x (B, frames, channels, time)``, as ``pad`` wants it."""
        short = [cells * side - size for cells, side, size in zip(grid, self.patch, x.shape[1:], strict=True)]
        return [number for missing in reversed(short) for number in (0, missing)]

    def _where(self, batch: Batch, grid: tuple[int, ...]) -> Tensor:
        """Middle of each token ``(B, N, 3)``: frames from the first, channels from the first, and time within a frame in the unit of the
        spec."""
        place = grid_coordinates(grid, batch.values.device)
        side = place.new_tensor([*self.patch[:2], self.patch[2] * self.spec.spacing[0]])
        return ((place + 0.5) * side).expand(len(batch), -1, -1)
