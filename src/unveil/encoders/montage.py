"""A transformer over time that reads recordings whose channels differ from one to the next."""

from __future__ import annotations

from torch import nn

from unveil.contracts import Batch, Count, Fraction, Positive, Spec
from unveil.encoders.transformer import Transformer
from unveil.parts.blocks import initialise
from unveil.parts.mixer import ChannelVectors, Mixer
from unveil.parts.patches import centres, patchify, token_grid
from unveil.tokens import Tokens


class Montage(Transformer):
    """Every channel alone to a vector a patch of time, these to a fixed number of vectors by queries that look at the channels that are
    there (Doner et al. 2025, LUNA; in the form of Panchavati et al. 2026, Laya), and a transformer over time with rotary positions.

    What a channel is, is said by where its electrode lies, or where that is unknown by a number that its name gives; so the order of
    channels means nothing, and the same weights read any montage.

    Args:
        spec: of the data; its number of channels is the greatest that occurs, and binds nothing but the targets of pixel-type losses.
        patch: values in time of a token.
        width: D.
        depth: number of blocks.
        heads: attention heads.
        mlp_ratio: inner width of a block's network over D.
        mixer_width: of the vector of one channel, and of what a query finds.
        mixer_heads: attention heads of the queries.
        queries: their number.
        class_token: put a learned token in front; it is then the pooled feature, else the mean over tokens is.
        drop_path: rate of stochastic depth at the last block, rising linearly from 0.
    """

    reads = frozenset({"montage"})
    supports = frozenset({"tokens", "keep", "layers", "channels"})
    tiny = dict(patch=4, width=32, depth=2, heads=2, mixer_width=16, mixer_heads=2, queries=4)

    def __init__(self, spec: Spec, *, patch: Count = 25, width: Count = 384, depth: Count = 12, heads: Count = 6,
                 mlp_ratio: Positive = 4.0, mixer_width: Count = 32, mixer_heads: Count = 4, queries: Count = 16,
                 class_token: bool = False, drop_path: Fraction = 0.0):
        super().__init__(spec, patch=patch, width=width, depth=depth, heads=heads, mlp_ratio=mlp_ratio, class_token=class_token,
                         positions="rotary", drop_path=drop_path)
        del self.standardise  # samples come to scale, in whatever number of channels
        self.cut = nn.Linear(self.patch[0], mixer_width)  # a convolution whose kernel and stride are a patch, the same for every channel
        initialise(self.cut)
        self.channels = ChannelVectors(mixer_width)
        self.mixer = Mixer(mixer_width, queries, mixer_heads)
        self.project = nn.Linear(queries * mixer_width, width)
        initialise(self.project)

    def chain(self) -> list[nn.Module]:
        return [self.cut, self.channels, self.mixer, *super().chain()]

    def units(self) -> list[nn.Module]:
        return list(self.blocks)

    def embed(self, batch: Batch) -> Tokens:
        values, there = batch.values if batch.valid is None else batch.values * batch.valid[:, None], batch.extras["channel"] >= 0
        raw, grid = patchify(values, self.patch), token_grid(values.shape[2:], self.patch)
        cut = self.cut(raw.unflatten(-1, (values.shape[1], -1)))
        mixed, looked = self.mixer(cut + self.channels(batch)[:, None], there)
        valid = None
        if batch.valid is not None:
            valid = patchify(batch.valid[:, None].to(values.dtype), self.patch).mean(-1) >= 0.5
        return Tokens(self.project(mixed.flatten(-2)), centres(batch, grid, self.patch), valid, grid, raw, mixing=looked)
