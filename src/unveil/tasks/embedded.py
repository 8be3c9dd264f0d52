"""Features of a data set, computed once and shared by all frozen tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unveil.contracts import Batch, Encoder
from unveil.data.samples import Samples
from unveil.parts.norms import settled
from unveil.randomness import Generator

SETTLED, BATCH = 512, 64  # samples from which an untaught network has the statistics of its batch norms, and how many at once


@dataclass
class Embedded:
    """Features with what is known of their samples.

    Attributes:
        features: ``(n, D)`` float32.
        labels: int64 ``(n,)``, -1 for none.
        groups: int64 ``(n,)`` or None: subjects, recordings.
        ids: int64 ``(n,)``.
    """

    features: Tensor
    labels: np.ndarray | None
    groups: np.ndarray | None
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, at: np.ndarray) -> Embedded:
        pick = lambda x: None if x is None else x[at]
        return replace(self, features=self.features[torch.as_tensor(at)], labels=pick(self.labels), groups=pick(self.groups),
                       ids=self.ids[at])


@torch.no_grad()
def embed(samples: Samples, describe: Callable[[Batch], Tensor], batch: int = 256, device: torch.device | str = "cpu",
          tick: Callable[[int], None] = lambda done: None) -> Embedded:
    """``describe`` of every sample, in order.

    Args:
        samples: what to embed.
        describe: batch -> ``(B, D)``.
        batch: samples at a time.
        device: where ``describe`` works.
        tick: called with the number of samples done.
    """
    parts = []
    for at in torch.arange(len(samples)).split(batch):
        parts.append(describe(samples.batch(at).to(device)).float().cpu())
        tick(len(at))
    return Embedded(torch.cat(parts), samples.labels, samples.groups, samples.index.numpy())


def frozen(encoder: Encoder) -> Callable[[Batch], Tensor]:
    """The encoder's pooled features, in evaluation mode."""
    return lambda batch: encoder.eval()(batch).pooled


def raw(samples: Samples, kind, limit: int = 4096, components: int = 128) -> Callable[[Batch], Tensor]:
    """The control without a network: what ``kind`` calls the plain values, on their leading principal axes, fitted on ``samples``."""
    at = torch.linspace(0, len(samples) - 1, min(limit, len(samples))).long().unique()
    values = torch.cat([kind.flat(samples.batch(part)) for part in at.split(512)])
    centre = values.mean(0)
    axes = torch.linalg.svd(values - centre, full_matrices=False).Vh[:components].T
    return lambda batch: (kind.flat(batch) - centre.to(batch.values)) @ axes.to(batch.values)


def untrained(encoder: Encoder, samples: Samples, device: torch.device | str = "cpu") -> Encoder:
    """The encoder itself on ``device``, with the batch statistics of training samples where it has batch norms; its weights stay."""
    order = Generator("settled").permutation(len(samples))[:SETTLED]
    return settled(encoder.to(device), (samples.batch(at).to(device) for at in order.split(BATCH) if len(at) > 1))
