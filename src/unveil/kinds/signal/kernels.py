"""Features of fixed convolutions of series, after MiniRocket (Dempster et al. 2021, arXiv 2012.08791), as a control without a network."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Batch
from unveil.data.samples import Samples
from unveil.randomness import Generator

TAPS, HIGH = 9, 3  # of a kernel: its length, and how many of its weights are 2; the others are -1, so that their sum is 0
KERNELS = torch.tensor([[2.0 if k in twos else -1.0 for k in range(TAPS)] for twos in combinations(range(TAPS), HIGH)])  # (84, 9)
GOLDEN = (5**0.5 + 1) / 2
MOST = 9  # channels that a kernel adds up, at most
AT_ONCE = 50_000_000  # answers


class Kernels:
    """The share of time for which each of 84 kernels, at several dilations, answers above each of some thresholds.

    As in MiniRocket thresholds are quantiles of what the kernels answer to samples that are learned from, at places that fill the unit
    interval evenly, here over several samples together. A kernel adds up a few channels at random, which are first brought to mean 0 and
    deviation 1 over these samples. Of samples with mixed channels it reads each channel alone, and the shares are means over the channels
    that are there: a sum over all of them would be next to nothing where channels are referred to their mean. Missing values are left out.

    Args:
        samples: that are learned from; no label is read.
        features: about how many, fewer for series shorter than 17 values.
        seen: samples that thresholds are from, evenly spaced.
        generator: of the channels.
    """

    def __init__(self, samples: Samples, *, features: int = 672, seen: int = 64, generator: Generator):
        spec = samples.spec()
        self.rows = max(1, AT_ONCE // (len(KERNELS) * spec.shape[0] * (spec.channels if spec.mixed else 1)))
        self.mean, self.std = (torch.tensor(x)[:, None] for x in (spec.mean, spec.std))
        most = max(0, (spec.shape[0] - 1) // (TAPS - 1)).bit_length() - 1
        self.dilations = [2**k for k in range(max(1, most + 1))]
        each = max(1, round(features / len(KERNELS) / len(self.dilations)))
        self.chosen = None if spec.mixed else [_choice(spec.channels, generator) for _ in self.dilations]
        batch = samples.batch(torch.linspace(0, len(samples) - 1, min(seen, self.rows, len(samples))).long().unique())
        place = (torch.arange(1, len(self.dilations) * len(KERNELS) * each + 1) * GOLDEN).frac()
        place = place.view(len(self.dilations), len(KERNELS), each)
        self.thresholds = [torch.stack([_quantiles(answer[:, kernel].transpose(0, 1), there, at) for kernel, at in enumerate(places)])
                           for (answer, there), places in zip(self._answers(batch), place, strict=True)]

    def __call__(self, batch: Batch) -> Tensor:
        """``(B, F)``."""
        return torch.cat([self._shares(batch.map(lambda x, at=at: x[at:at + self.rows])) for at in range(0, len(batch), self.rows)])

    def _shares(self, batch: Batch) -> Tensor:
        found = []
        for (answer, there), thresholds in zip(self._answers(batch), self.thresholds, strict=True):
            weight = there[:, None].to(answer)
            total = weight.sum((-2, -1)).clamp_min(1)
            above = [((answer > t[:, None, None]) * weight).sum((-2, -1)) / total for t in thresholds.to(answer).unbind(1)]
            found += [torch.stack(above, -1).flatten(1)]
        return torch.cat(found, 1)

    def _answers(self, batch: Batch):
        """For each dilation what every kernel answers ``(B, 84, G, T)``, and where it counts, bool ``(B, G, T)``: G is 1, or the number of
        channels where they are mixed."""
        x, length = (batch.values - self.mean.to(batch.values)) / self.std.to(batch.values), batch.values.shape[-1]
        here = torch.ones_like(x[:, :1], dtype=torch.bool) if batch.valid is None else batch.valid[:, None]
        x, kernels = x * here, KERNELS.to(x)
        for number, dilation in enumerate(self.dilations):
            pad = dilation * (TAPS // 2)
            if self.chosen is None:
                answer = F.conv1d(x.flatten(0, 1)[:, None], kernels[:, None], padding=pad, dilation=dilation)
                answer = answer.unflatten(0, x.shape[:2]).transpose(1, 2)
                yield answer, (batch.extras["channel"] >= 0)[..., None] & here
            else:
                weight = self.chosen[number].to(x)[..., None] * kernels[:, None]
                yield F.conv1d(x, weight, padding=pad, dilation=dilation)[:, :, None, :length], here


def _choice(channels: int, generator: Generator) -> Tensor:
    """Which channels each kernel adds up ``(84, C)``: 1 to :data:`MOST`, small numbers as often as large ones in logarithm."""
    most = min(channels, MOST)
    count = (generator.uniform(len(KERNELS), 1) * torch.tensor(most + 1.0).log2()).exp2().long().clamp_max(most)
    order = torch.stack([generator.permutation(channels) for _ in KERNELS])
    return (order < count).float()


def _quantiles(answer: Tensor, there: Tensor, at: Tensor) -> Tensor:
    """Of the answers of one kernel ``(G, B, T)`` where it counts, ``(B, G, T)``; 0 where it never does."""
    known = answer.transpose(0, 1)[there.expand(answer.shape[1], answer.shape[0], -1)]
    return known.sort().values[(at * len(known)).long()] if len(known) else torch.zeros_like(at)
