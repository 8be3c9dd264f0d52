"""Attention between the packed rows of each sample. What it needs grows with the samples' own sizes, not with the largest one's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unveil.parts.blocks import Block, initialise
from unveil.tokens import Graph

SMALLEST = 32  # rows that the smallest samples are filled up to


@dataclass
class Rooms:
    """Packed rows brought side by side with those of samples of like size.

    The rooms hold 32, 64, 128 ... rows, the last one as many as the largest sample has, and a sample goes to the smallest that it fits
    in. So a sample of n rows takes fewer than 2n, or 32, and its pairs fewer than 4n^2, or 1,024, whatever else is in the batch.

    Attributes:
        index: of each room ``(samples, size)``, which row stands there.
        there: of each room, bool ``(samples, size)``, whether one does.
        place: ``(sum N)``, where each row stands in the rooms laid end to end.
    """

    index: list[Tensor]
    there: list[Tensor]
    place: Tensor

    @classmethod
    def of(cls, graph: Graph) -> Rooms:
        """From sizes that the host knows, or else one room for all."""
        device, last = graph.sample.device, max(len(graph.sample) - 1, 0)
        bounds = [SMALLEST]
        while bounds[-1] < graph.longest:
            bounds.append(2 * bounds[-1])
        bounds[-1] = max(min(bounds[-1], graph.longest), 1)
        if graph.sizes is None:
            bounds = bounds[-1:]
            sizes = torch.zeros(graph.count, dtype=torch.long, device=device).index_add_(0, graph.sample, torch.ones_like(graph.sample))
            host, parts = np.full(graph.count, bounds[0]), [torch.arange(graph.count, device=device)]
        else:
            host = np.array(graph.sizes, dtype=np.int64)
            fits = np.searchsorted(bounds, host)
            parts = [torch.from_numpy(np.flatnonzero(fits == room)).to(device, non_blocking=True) for room in range(len(bounds))]
            host = np.array(bounds)[fits]
            sizes = torch.tensor(graph.sizes, dtype=torch.long).to(device, non_blocking=True)
        order = np.argsort(host, kind="stable")
        begin = np.empty(graph.count, dtype=np.int64)
        begin[order] = np.cumsum(host[order]) - host[order]
        start = sizes.cumsum(0) - sizes
        index = [start[samples][:, None] + torch.arange(bound, device=device) for samples, bound in zip(parts, bounds) if len(samples)]
        there = [torch.arange(bound, device=device) < sizes[samples][:, None] for samples, bound in zip(parts, bounds) if len(samples)]
        place = torch.from_numpy(begin).to(device, non_blocking=True)[graph.sample] + graph.place
        return cls([at.clamp_max(last) for at in index], there, place)

    def pack(self, parts: list[Tensor]) -> Tensor:
        """Answers of the rooms ``(samples, size, D)`` as packed rows ``(sum N, D)``."""
        return torch.cat([part.flatten(0, 1) for part in parts])[self.place]


class Mixer(nn.Module):
    """A transformer layer between the rows of each sample: they are brought to ``width`` less the code's, their code is set beside them,
    then pre-norm attention and a two-layer network are added (the coarsest level of Hi-GMAE). Rows that are not seen go through as they
    are, and no row attends to them.

    Args:
        width: D.
        heads: of attention; they divide ``width``.
        code_channels: of the code that says where a row stands in its graph.
        mlp_ratio: inner width of the network over D.
    """

    def __init__(self, width: int, heads: int, code_channels: int, mlp_ratio: float = 1.0):
        super().__init__()
        if code_channels >= width:
            raise ValueError(f"width {width} leaves no room beside a code of {code_channels} numbers: it must be larger")
        self.code_channels = code_channels
        self.enter, self.block = nn.Linear(width, width - code_channels), Block(width, heads, mlp_ratio)
        initialise(self, nn.ModuleList([self.block]))

    def forward(self, x: Tensor, graph: Graph, rooms: Rooms, seen: Tensor | None) -> Tensor:
        """``x (sum N, D)`` and ``seen`` bool ``(sum N)`` to ``(sum N, D)``."""
        code = x.new_zeros(len(x), self.code_channels) if graph.code is None else graph.code.to(x.dtype)
        entered = torch.cat([self.enter(x), code], 1)
        answers = []
        for index, there in zip(rooms.index, rooms.there):
            keys = there if seen is None else there & seen[index]
            keys = keys | ~keys.any(1, keepdim=True)  # a sample of which nothing is seen attends to itself, and is thrown away
            answers.append(self.block(entered[index], keys))
        mixed = rooms.pack(answers)
        return mixed if seen is None else torch.where(seen[:, None], mixed, x)
