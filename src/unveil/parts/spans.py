"""Which values of a series are hidden: spans of a few, drawn until there are enough."""

from __future__ import annotations

import torch
from torch import Tensor

from unveil.randomness import Generator


def span_masks(length: int, count: int, generator: Generator, keys: Tensor, *, stop: float = 0.2, longest: int = 10,
               core: Tensor | None = None, bias: float = 0.0) -> Tensor:
    """Hides ``count`` of ``length`` values of each sample in spans (SpanBERT, Joshi et al. 2020, as LIMU-BERT has it).

    A span begins anywhere, or with chance ``bias`` at a value of ``core``; one that begins where an earlier one hides is thrown away. Its
    length is geometric, cut at ``longest``: ``P(n) ~ stop (1 - stop)^(n - 1)``. The last span is cut to the count. In the published code
    the last value of a series is never hidden; here it can be.

    Args:
        length: of the series.
        count: values to hide.
        generator: of this step.
        keys: of the samples ``(B,)``.
        stop: chance that a span ends at a value.
        longest: values a span has at most.
        core: bool ``(B, length)``; a sample without any is treated as if it had no bias.
        bias: chance that a span begins in the core.

    Returns:
        bool ``(B, length)``, ``count`` of a row True.
    """
    tries = 2 * count + 8
    share = (1 - stop) ** torch.arange(longest, device=keys.device)
    cut = (share / share.sum()).cumsum(0)
    long = 1 + (generator.uniform(tries, 1, keys=keys) > cut[:-1]).sum(-1)
    begin = generator.integers(0, length, tries, keys=keys)
    if core is not None and bias:
        order = generator.uniform(length, keys=keys).masked_fill(~core, 2.0).argsort(-1)  # places of the core first, in a random order
        size = core.sum(-1, keepdim=True)
        inside = order.gather(1, (generator.uniform(tries, keys=keys) * size).long().clamp_max(length - 1))
        begin = torch.where((generator.uniform(tries, keys=keys) < bias) & (size > 0), inside, begin)
    place = torch.arange(length, device=keys.device)
    covers = (place >= begin[..., None]) & (place < (begin + long)[..., None])  # (B, tries, length)
    starts_in = covers.gather(2, begin[:, None].expand(-1, tries, -1))  # [b, i, j]: whether span i hides where span j begins
    taken = torch.zeros_like(begin, dtype=torch.bool)
    for number in range(tries):
        free = ~(starts_in[:, :number, number] & taken[:, :number]).any(-1)
        taken = torch.cat([taken[:, :number], free[:, None], taken[:, number + 1:]], 1)
    rank = torch.where(covers & taken[..., None], torch.arange(tries, device=keys.device)[:, None], tries).amin(1)
    spare = torch.where(rank < tries, 0.0, generator.uniform(length, keys=keys))  # where spans do not suffice, which hardly ever is
    order = (rank * length + torch.where(rank < tries, place, 0) + spare).argsort(dim=-1, stable=True)
    return torch.zeros_like(order, dtype=torch.bool).scatter(1, order[:, :count], True)
