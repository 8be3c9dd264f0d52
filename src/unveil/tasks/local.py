"""Local features for probes: encoded once where they are learned from, passed through where they are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Encoder, Features
from unveil.data.samples import Samples
from unveil.tasks.bench import Way, spread
from unveil.tasks.linear import standardiser

MEMORY = 1 << 29  # bytes of float16 that the stored features of a probe may take


@dataclass
class Stored:
    """Local features of some samples.

    Attributes:
        values: ``(n, N, D)`` float16, less ``mean``, over ``std``.
        valid: which tokens stand for measured values, bool ``(n, N)``.
        mean: of each feature ``(D,)``.
        std: its deviation ``(D,)``.
        at: positions of the samples among those that were given ``(n,)``.
    """

    values: Tensor
    valid: Tensor
    mean: Tensor
    std: Tensor
    at: np.ndarray


def has_tokens(way: Way) -> bool:
    """Whether a way has local features on a grid of tokens."""
    return way.network is not None and "tokens" in way.network.supports


def thinned(at: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` of ``at``, evenly spaced."""
    return at[spread(len(at), most)]


@torch.no_grad()
def passed(encoder: Encoder, samples: Samples, device: torch.device | str, batch: int = 128) -> Iterator[tuple[np.ndarray, Features]]:
    """Local features a batch at a time, in order, with the positions of its samples."""
    for at in torch.arange(len(samples)).split(batch):
        yield at.numpy(), encoder.eval()(samples.batch(at).to(device))


def seen(found: Features) -> Tensor:
    """Which tokens stand for measured values: bool ``(B, N)``."""
    return torch.ones(found.local.shape[:2], dtype=torch.bool, device=found.local.device) if found.valid is None else found.valid


def store(encoder: Encoder, samples: Samples, most: int, device: torch.device | str) -> Stored:
    """Local features of at most ``most`` samples and :data:`MEMORY` bytes, evenly spaced over ``samples``.

    They are standardised by the statistics of 256 of them, which keeps what float16 has of precision.
    """
    _, first = next(passed(encoder, samples.subset(thinned(np.arange(len(samples)), 256)), device, 256))
    local = first.local[seen(first)].float()
    mean, std = standardiser(local) if len(local) else (first.local.new_zeros(first.local.shape[-1]), torch.ones_like(first.local[0, 0]))
    at = thinned(np.arange(len(samples)), max(1, min(most, MEMORY // (2 * first.local[0].numel()))))
    values = torch.empty(len(at), *first.local.shape[1:], dtype=torch.float16)
    valid = torch.empty(values.shape[:2], dtype=torch.bool)
    for part, found in passed(encoder, samples.subset(at), device):
        values[part], valid[part] = ((found.local.float() - mean) / std).half().cpu(), seen(found).cpu()
    return Stored(values, valid, mean, std, at)
