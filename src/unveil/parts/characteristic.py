"""The empirical characteristic function on an even grid, without keeping anything of the size of samples times grid."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Numbers that are worked on at once: what stays in a processor's cache; a GPU is rather kept busy.
CHUNK = {"cpu": 1 << 17}
LARGE = 1 << 24


def characteristic(angle: Tensor, knots: int) -> tuple[Tensor, Tensor]:
    """Means of ``cos(k a)`` and ``sin(k a)`` over samples, for k from 0.

    Args:
        angle: a, ``(..., N, M)``: N samples along M directions.
        knots: number of multiples.

    Returns:
        two of ``(..., M, knots)``.
    """
    return _Characteristic.apply(angle, knots)


def _parts(angle: Tensor) -> list[slice]:
    """Cuts of the directions, of :data:`CHUNK` numbers each."""
    width = max(1, CHUNK.get(angle.device.type, LARGE) // angle.shape[:-1].numel())
    return [slice(first, first + width) for first in range(0, angle.shape[-1], width)]


def _turns(angle: Tensor, knots: int) -> Iterator[tuple[int, Tensor, Tensor]]:
    """k, ``cos(k a)`` and ``sin(k a)`` for k from 1, each by turning the one before through a: sines are taken once for all."""
    cos, sin = first = angle.cos(), angle.sin()
    for k in range(1, knots):
        yield k, cos, sin
        cos, sin = torch.addcmul(cos * first[0], sin, first[1], value=-1), torch.addcmul(sin * first[0], cos, first[1])


class _Characteristic(torch.autograd.Function):
    @staticmethod
    def forward(ctx, angle: Tensor, knots: int) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(angle)
        real = angle.new_ones(*angle.shape[:-2], angle.shape[-1], knots)
        imaginary = torch.zeros_like(real)
        for part in _parts(angle):
            for k, cos, sin in _turns(angle[..., part], knots):
                real[..., part, k], imaginary[..., part, k] = cos.mean(-2), sin.mean(-2)
        return real, imaginary

    @staticmethod
    @once_differentiable
    def backward(ctx, real: Tensor, imaginary: Tensor) -> tuple[Tensor, None]:
        angle, = ctx.saved_tensors
        knots = real.shape[-1]
        share = torch.arange(knots, device=angle.device, dtype=angle.dtype) / angle.shape[-2]
        real, imaginary = ((part * share).unsqueeze(-3) for part in (real, imaginary))
        grad = torch.zeros_like(angle)
        for part in _parts(angle):
            for k, cos, sin in _turns(angle[..., part], knots):
                grad[..., part].addcmul_(cos, imaginary[..., part, k]).addcmul_(sin, real[..., part, k], value=-1)
        return grad, None
