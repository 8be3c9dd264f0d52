"""How a vector a sample is told to every layer of an encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Condition(nn.Module):
    """A vector a sample, or the token that stands where there is none, normalised and handed to every row.

    Args:
        width: D.
        clamp: the largest number that reaches a layer.
    """

    def __init__(self, width: int, clamp: float = 1000.0):
        super().__init__()
        self.clamp, self.none, self.norm = clamp, nn.Parameter(torch.empty(1, width)), nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.none)

    def forward(self, condition: Tensor | None, sample: Tensor, count: int) -> Tensor:
        """``condition (count, D)`` or None -> ``(sum N, D)``."""
        told = self.none.expand(count, -1) if condition is None else condition
        return self.norm(told).clamp(-self.clamp, self.clamp)[sample]


class AdaNorm(nn.Module):
    """Layer normalisation whose scale and shift, and the gate of what the layer then says, follow from a condition (Perez and
    Gomez-Bombarelli 2026).

    With ``h = LN(x)``: ``shift, scale, gate = W2 LN(SiLU(W1 [c, stopgrad(h)]))``, out come ``tanh(a h) (1 + scale) / a + shift`` and
    ``tanh(b gate)``, a and b learned from 0.2. Nothing starts at zero.
    """

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.inner, self.inner_norm = nn.LayerNorm(width), nn.Linear(2 * width, width), nn.LayerNorm(width)
        self.outer = nn.Linear(width, 3 * width)
        self.slope, self.gate = nn.Parameter(torch.full((1,), 0.2)), nn.Parameter(torch.full((1,), 0.2))
        nn.init.xavier_uniform_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` and ``condition (sum N, D)`` -> what the layer reads and the gate, both ``(sum N, D)``."""
        h, slope = self.norm(x), self.slope.abs().clamp_min(1e-5)
        told = self.inner_norm(F.silu(self.inner(torch.cat([condition, h.detach().to(condition)], -1))))
        shift, scale, gate = self.outer(told).chunk(3, -1)
        return (slope * h).tanh() * ((1 + scale) / slope) + shift, (self.gate * gate).tanh()
