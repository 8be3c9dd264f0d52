"""Features that turn with the sample: vectors ``(sum N, 3, D)``, D of them a row. Whatever is done to them is linear in them, with weights
that lengths and other numbers which do not turn may set; so it commutes with every rotation and reflection."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.parts.precision import wide


class VectorNorm(nn.Module):
    """Divides the vectors of a row by the root of the mean of their squared lengths, and gives each a learned gain.

    Args:
        width: D.
        eps: squared length below which a row stays small. Where symmetry makes vectors zero only rounding is left of them, which this
            keeps from being blown up.
    """

    def __init__(self, width: int, eps: float = 1e-2):
        super().__init__()
        self.eps, self.gain = eps, nn.Parameter(torch.ones(width))

    def forward(self, v: Tensor) -> Tensor:
        v = wide(v)
        return v * (v.square().sum(1, keepdim=True).mean(-1, keepdim=True) + self.eps).rsqrt() * self.gain


class VectorDyT(nn.Module):
    """``tanh(a v) gain + bias`` number by number, as released with SCD. It favours the axes, so what follows does NOT turn with the sample;
    it is here to be measured against."""

    def __init__(self, width: int):
        super().__init__()
        self.slope = nn.Parameter(torch.full((1,), 0.2))
        self.gain, self.bias = nn.Parameter(torch.full((width,), 5.0)), nn.Parameter(torch.zeros(width))

    def forward(self, v: Tensor) -> Tensor:
        return (self.slope * v).tanh() * self.gain + self.bias


def limited(v: Tensor, most: float) -> Tensor:
    """Vectors no longer than ``most``; longer ones keep their direction."""
    return v * (most * v.square().sum(1, keepdim=True).clamp_min(most * most).rsqrt())


class Gated(nn.Module):
    """Gated equivariant block (Schuett et al. 2021): numbers and lengths of vectors decide on new numbers and on the gain of new vectors.

    Args:
        width: D in.
        out: D out.
        scalars: also answer with numbers.
    """

    def __init__(self, width: int, out: int, scalars: bool = True):
        super().__init__()
        self.measured, self.passed = nn.Linear(width, width, bias=False), nn.Linear(width, out, bias=False)
        self.inner, self.outer, self.scalars = nn.Linear(2 * width, width), nn.Linear(width, out * (1 + scalars)), scalars

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor | None, Tensor]:
        """``x (sum N, D)``, ``v (sum N, 3, D)``."""
        length = (wide(self.measured(v)).square().sum(1) + 1e-8).sqrt()
        answer = self.outer(F.silu(self.inner(torch.cat([x, length.to(x)], -1))))
        new, gain = answer.chunk(2, -1) if self.scalars else (None, answer)
        return None if new is None else F.silu(new), gain[:, None] * self.passed(v)


class VectorHead(nn.Module):
    """One vector a row: two gated blocks, D -> D / 2 -> 1."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.last = Gated(width, width // 2), Gated(width // 2, 1, scalars=False)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        """``x (sum N, D)``, ``v (sum N, 3, D)`` -> ``(sum N, 3)``."""
        return wide(self.last(*self.first(x, v))[1])[..., 0]
