"""TS2Vec: two crops of a series, each with half of its times hidden, have the same features where they overlap."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from unveil.contracts import Batch, Encoder, Fraction, Method, Output, Step
from unveil.parts.precision import wide
from unveil.parts.teacher import Teacher
from unveil.parts.timestamps import hierarchical_contrast
from unveil.randomness import Generator
from unveil.tokens import Tokens


class TS2Vec(Method):
    """Universal representation of time series by hierarchical contrast (Yue et al. 2022, arXiv 2106.10466).

    Two crops overlap; how long they are is drawn for a step, where they lie for each sample. In each, half of the times are hidden at
    random. On the overlap, an anchor tells its partner from other times of its series, and from other series at its time, at scales that
    double to the whole overlap. What is kept is the mean of the encoder over all steps.

    Args:
        encoder: what is taught.
        hide: share of the times that are hidden in each crop.
        alpha: share of the contrast between series; the rest is between times.
        crops: two that overlap, or as control the whole series twice.
        average: keep the mean of all steps, or as control the last.
        contrast: an anchor is to tell its partner from other times and other series. As broken twin it need only be near its partner, for
            which one point for all is enough.
    """

    source = "arXiv 2106.10466; zhihanyue/ts2vec"
    needs = frozenset({"hide", "stretches"})
    twins = {"no other times or series to tell from": dict(contrast=False)}

    def __init__(self, encoder: Encoder, *, hide: Fraction = 0.5, alpha: Fraction = 0.5,
                 crops: Literal["overlapping", "whole"] = "overlapping", average: bool = True, contrast: bool = True):
        super().__init__(encoder)
        self.hide, self.alpha, self.crops, self.contrast = hide, alpha, crops, contrast
        self.mean = Teacher(encoder) if average else None

    def cut(self, length: int, draw: Generator, keys: Tensor) -> tuple[Tensor, Tensor, int]:
        """Times ``(B, N1)`` and ``(B, N2)`` of two crops, and how many, the last of the first and the first of the second, they share."""
        whole = torch.arange(length, device=keys.device).expand(len(keys), -1)
        if self.crops == "whole":
            return whole, whole, length
        between = lambda low, high: min(high, low + int(draw.number() * (high - low + 1)))
        shared = between(2, length)
        left = between(0, length - shared)
        begin, end = between(0, left), between(left + shared, length)
        shift = draw.integers(-begin, length - end + 1, 1, keys=keys)
        return whole[:, begin:left + shared] + shift, whole[:, left:end] + shift, shared

    def seen(self, tokens: Tokens, times: Tensor, draw: Generator, keys: Tensor) -> Tensor:
        """Features ``(B, N, D)`` of the crop at ``times``."""
        hidden = draw.uniform(times.shape[1], keys=keys) < self.hide
        return wide(self.encoder.encode(tokens.take(times), hide=hidden).local)

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch)
        tokens, draw = self.encoder.embed(view), step.generator("crops")
        first, second, shared = self.cut(tokens.values.shape[1], draw, batch.keys)
        a = self.seen(tokens, first, draw, batch.keys)[:, -shared:]
        b = self.seen(tokens, second, draw, batch.keys)[:, :shared]
        loss = hierarchical_contrast(a, b, self.alpha) if self.contrast else (a - b).square().mean()
        return Output(loss, shown={"embedding": torch.stack([a, b]).amax(2).detach(), "views": view.values[None]})

    def after_step(self, step: Step) -> None:
        if self.mean is not None:
            self.mean.follow(self.encoder, (step.index + 1) / (step.index + 2))  # the first weights count as one step

    def kept(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder if self.mean is None else self.mean.network}
