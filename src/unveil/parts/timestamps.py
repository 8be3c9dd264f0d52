"""TS2Vec's loss: features of two crops of a series agree time by time, and differ from other times and other series (Yue et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.parts.distributed import gather, rank
from unveil.parts.precision import full_precision


def instance_contrast(a: Tensor, b: Tensor) -> Tensor:
    """Eq. 2: at each time, of all other features of the batch at that time, an anchor is to tell its partner by the dot product, the mean
    over anchors and times, on all processes' samples.

    Args:
        a: ``(B, T, D)``.
        b: ``(B, T, D)``, the same times of the same series in the other crop.
    """
    everyone = torch.cat([gather(a), gather(b)]).transpose(0, 1)  # (T, 2 total, D)
    total = everyone.shape[1] // 2
    own = rank() * len(a) + torch.arange(len(a), device=a.device)
    own, partner = torch.cat([own, own + total]), torch.cat([own + total, own])
    return _contrast(torch.cat([a, b]).transpose(0, 1), everyone, own, partner)


def temporal_contrast(a: Tensor, b: Tensor) -> Tensor:
    """Eq. 1: in each series, of all other features at all times of both crops, an anchor is to tell the one of its own time."""
    time = torch.arange(a.shape[1], device=a.device)
    own, partner = torch.cat([time, time + len(time)]), torch.cat([time + len(time), time])
    both = torch.cat([a, b], 1)
    return _contrast(both, both, own, partner)


def _contrast(anchors: Tensor, everyone: Tensor, own: Tensor, partner: Tensor) -> Tensor:
    """Mean of ``-log softmax`` at the ``partner`` of each anchor, ``own`` left out; ``anchors (G, N, D)``, ``everyone (G, M, D)``."""
    logits = anchors @ everyone.transpose(1, 2)
    place = lambda at: at[:, None].expand(len(logits), -1, -1)
    logits = logits.scatter(2, place(own), float("-inf"))
    return F.cross_entropy(logits.flatten(0, 1), partner.repeat(len(logits)))


@full_precision
def hierarchical_contrast(a: Tensor, b: Tensor, alpha: float = 0.5) -> Tensor:
    """``alpha`` instance and ``1 - alpha`` temporal contrast, the mean over scales: all times, then maxima of 2, 4 ... times, to one.

    A single time has no temporal part, and counts as a scale, as in the published code.

    Args:
        a: ``(B, T, D)``.
        b: ``(B, T, D)``, the same times in the other crop.
        alpha: share of the instance part.
    """
    terms = []
    while True:
        many = a.shape[1] > 1
        terms.append(alpha * instance_contrast(a, b) + ((1 - alpha) * temporal_contrast(a, b) if many else 0.0))
        if not many:
            return torch.stack(terms).mean()
        a, b = (F.max_pool1d(x.transpose(1, 2), 2).transpose(1, 2) for x in (a, b))
