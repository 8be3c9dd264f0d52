"""A copy of a network that follows it slowly."""

from __future__ import annotations

import copy

import torch
from torch import nn

from unveil.parts.blocks import Drop


class Teacher(nn.Module):
    """Exponential moving average of ``student``, without gradient: weights <- m weights + (1 - m) student's.

    Buffers (running statistics) are copied, nothing is dropped. The teacher works under ``torch.no_grad``.
    """

    def __init__(self, student: nn.Module):
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)
        for part in self.network.modules():
            if isinstance(part, Drop):
                part.rate = 0.0

    @torch.no_grad()
    def forward(self, *args, **kwargs):
        return self.network(*args, **kwargs)

    @torch.no_grad()
    def follow(self, student: nn.Module, momentum: float) -> None:
        torch._foreach_lerp_(list(self.network.parameters()), list(student.parameters()), 1.0 - momentum)
        for mine, its in zip(self.network.buffers(), student.buffers(), strict=True):
            mine.copy_(its)
