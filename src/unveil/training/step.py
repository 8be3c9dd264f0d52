"""What a method is told of the outside, at one step."""

from __future__ import annotations

from contextlib import nullcontext

import torch

from unveil.contracts import Batch
from unveil.randomness import Generator


class TrainStep:
    """A :class:`unveil.contracts.Step` of a run.

    Args:
        kind: makes the views.
        seed: of the run.
        index: number of the step, from 0.
        total: number of steps of the run.
        device: where draws are made.
    """

    def __init__(self, kind, seed: int, index: int, total: int, device: torch.device | str = "cpu"):
        self.kind, self.seed, self.index, self.device = kind, seed, index, torch.device(device)
        self.progress = index / max(total, 1)
        self.viewed = 0

    def generator(self, purpose: str) -> Generator:
        return Generator(self.seed, self.index, purpose, device=self.device)

    def view(self, batch: Batch, count: int = 1, *, area: tuple[float, float] = (1.0, 1.0), size: float = 1.0,
             strength: float = 0.0, symmetry: bool = False) -> list[Batch]:
        self.viewed += 1
        mixed = torch.amp.is_autocast_available(self.device.type)
        with torch.autocast(self.device.type, enabled=False) if mixed else nullcontext():  # bfloat16 has fewer levels than a picture
            return self.kind.view(batch, count, area=tuple(area), size=size, strength=strength, symmetry=symmetry,
                                  generator=self.generator(f"view {self.viewed}"))
