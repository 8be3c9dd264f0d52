"""Places that are shaken, and what a network is asked of it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from unveil.contracts import Batch
from unveil.parts.distributed import global_mean, global_sum
from unveil.parts.precision import full_precision
from unveil.randomness import Generator
from unveil.tokens import pool


def shaken(batch: Batch, sigma: float, generator: Generator, centred: bool = False) -> tuple[Batch, Tensor]:
    """Every row moved by normal noise of deviation ``sigma``, in the unit of the places; a row that was taken away stays.

    Args:
        batch: packed, with places.
        sigma: in the unit of the places.
        generator: of the noise, drawn row by row.
        centred: take the noise's mean from each sample: a shift of the whole is nothing that can be seen.

    Returns:
        the moved batch, and the noise ``(sum N, 3)``.
    """
    noise = sigma * generator.normal(batch.where.shape[1], keys=batch.row_keys).to(batch.where)
    if batch.valid is not None:
        noise = noise * batch.valid[:, None]
    if centred:
        noise = noise - pool(noise, batch.valid, batch.graph.sample, batch.graph.count)[batch.graph.sample]
        noise = noise if batch.valid is None else noise * batch.valid[:, None]
    return replace(batch, where=batch.where + noise), noise


class Running(nn.Module):
    """Normalises by mean and deviation, axis by axis, of all rows that training has shown it so far, on all processes.

    Args:
        width: number of axes.
        floor: least variance, in squared units of the rows.
    """

    def __init__(self, width: int, floor: float = 1e-8):
        super().__init__()
        self.floor = floor
        # In float64: a float32 count stands still at 17 million rows, which a day of training passes.
        self.register_buffer("count", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("total", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("square", torch.zeros(width, dtype=torch.float64))

    @torch.no_grad()
    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """``x (sum N, width)`` normalised; in training it counts first."""
        if self.training:
            wide = x.double()
            part = torch.ones_like(wide[:, :1]) if valid is None else valid.double()[:, None]
            self.count += global_sum(part.sum(0))
            self.total += global_sum((part * wide).sum(0))
            self.square += global_sum((part * wide.square()).sum(0))
        count = self.count.clamp_min(1)
        mean = self.total / count
        std = (self.square / count - mean.square()).clamp_min(self.floor).sqrt()
        return ((x - mean) / std).to(x.dtype)


@full_precision
def row_error(answer: Tensor, goal: Tensor, valid: Tensor | None) -> Tensor:
    """Mean squared error over axes and valid rows of all processes."""
    error = (answer - goal).square().mean(-1)
    weight = torch.ones_like(error) if valid is None else valid.to(error.dtype)
    return global_mean((error * weight).sum(), weight.sum())
