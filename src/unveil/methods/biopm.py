"""BioPM: hide half of the movement elements of a window and say their waveforms."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Positive, Step
from unveil.parts.losses import mean_over
from unveil.parts.norms import BatchNorm
from unveil.parts.precision import wide
from unveil.randomness import Generator
from unveil.tokens import Tokens, pool, take


class Waveform(nn.Module):
    """Vectors ``(B, N, width)`` to waveforms of 32 values, token by token, by convolutions that double the length five times."""

    def __init__(self, width: int, sizes: tuple[int, int, int, int]):
        super().__init__()
        ends = zip((width, *sizes), (*sizes, 1))
        self.convs = nn.ModuleList(nn.ConvTranspose1d(a, b, 4, 2, 1, bias=b == 1) for a, b in ends)
        self.norms = nn.ModuleList(BatchNorm(size) for size in sizes)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        y, real = x.flatten(0, 1)[..., None], valid.flatten()
        for conv, norm in zip(self.convs, self.norms):
            y = F.gelu(norm(conv(y), real))
        return self.convs[-1](y)[:, 0].unflatten(0, valid.shape)


class BioPM(Method):
    """Masked movement elements (Tarale et al. 2026, arXiv 2603.10961), as released; the paper's text was not read.

    Half of the elements are hidden, whole: in one half of the windows each by itself, in the other all that overlap half of the window's
    seconds, on every axis. Of the seen ones a fifth get the waveform of another seen element of the window. A decoder says every waveform,
    as it was, in g; the mean absolute error of hidden ones counts a hundred times that of seen ones.

    Waveforms are taken from and given to seen elements alone; in the released code rows that fill up and hidden ones may take part, which
    makes elements of noise.

    Args:
        encoder: what is taught and kept.
        ratio: share of the elements, or of the seconds, that are hidden.
        masks: by element or by second as a coin falls, or as control always one of them.
        bin: length of what is called a second, in the unit of time.
        swap: share of the seen elements that get another's waveform.
        hidden: weight of the error on hidden elements.
        seen: weight of that on seen ones.
        sizes: widths inside the decoder.
        aim: a window's own waveforms. As broken twin those of another window of the batch, of which nothing here tells.
    """

    source = "arXiv 2603.10961; Prithvitarale/biopm"
    style = True
    needs = frozenset({"hide", "spans"})
    twins = {"the aim is of another window": dict(aim="another")}
    tiny = dict(bin=0.5, sizes=(16, 16, 8, 8))

    def __init__(self, encoder: Encoder, *, ratio: Fraction = 0.5, masks: Literal["either", "elements", "seconds"] = "either",
                 bin: Positive = 1.0, swap: Fraction = 0.2, hidden: NotNegative = 100.0, seen: NotNegative = 1.0,
                 sizes: tuple[Count, Count, Count, Count] = (64, 32, 16, 8), aim: Literal["own", "another"] = "own"):
        super().__init__(encoder)
        self.ratio, self.masks, self.bin, self.swap, self.aim = ratio, masks, bin, swap, aim
        self.weights = hidden, seen
        self.decode = Waveform(encoder.local_width, sizes)

    def masked(self, tokens: Tokens, keys: Tensor, draw: Generator) -> Tensor:
        """Which elements are hidden, bool ``(B, N)``."""
        valid, span = tokens.valid, tokens.span
        chance = draw.uniform(valid.shape[1], keys=keys).masked_fill(~valid, 2.0)
        alone = chance.argsort(-1).argsort(-1) < (valid.sum(-1, keepdim=True) * self.ratio).long()
        bins = max(1, int(self.encoder.spec.shape[0] * self.encoder.spec.spacing[0] / self.bin))
        first = self.bin * draw.permutation(bins, keys)[:, None, :max(1, int(bins * self.ratio))]
        together = ((span[..., 1:] > first) & (span[..., :1] < first + self.bin)).any(-1)
        coin = draw.uniform(1, keys=keys) < {"either": 0.5, "elements": 1.1, "seconds": -0.1}[self.masks]
        return torch.where(coin, alone, together) & valid

    def swapped(self, tokens: Tokens, seen: Tensor, keys: Tensor, draw: Generator) -> Tokens:
        """Tokens of which some seen ones say the waveform of others, ``seen`` bool ``(B, N)``."""
        order = draw.uniform(seen.shape[1], keys=keys).masked_fill(~seen, 2.0).argsort(-1)
        pick = (draw.uniform(seen.shape[1], keys=keys) * seen.sum(-1, keepdim=True)).long()
        source = order.gather(1, pick.clamp_max(seen.shape[1] - 1))
        other = seen & (draw.uniform(seen.shape[1], keys=keys) < self.swap)
        content = tokens.values[..., :self.encoder.content]
        content = torch.where(other[..., None], take(content, source), content)
        return replace(tokens, values=torch.cat([content, tokens.values[..., self.encoder.content:]], -1))

    def forward(self, batch: Batch, step: Step) -> Output:
        batch, = step.view(batch)
        tokens = self.encoder.embed(batch)
        hidden = self.masked(tokens, batch.keys, step.generator("masks"))
        seen = tokens.valid & ~hidden
        told = self.swapped(tokens, seen, batch.keys, step.generator("swaps")) if self.swap else tokens
        features = self.encoder.encode(told, hide=hidden)
        aim = wide(tokens.raw if self.aim == "own" else tokens.raw.roll(1, 0))
        error = (wide(self.decode(features.local, tokens.valid)) - aim).abs().mean(-1).flatten()
        terms = [mean_over(error, asked.flatten()) for asked in (hidden, seen)]
        loss = sum(weight * term for weight, term in zip(self.weights, terms))
        return Output(loss, {"hidden": terms[0].detach(), "seen": terms[1].detach()},
                      shown={"embedding": pool(features.local, tokens.valid).detach()[None], "hidden": hidden})
