"""Where a token is, as a vector (sin-cos) or as a rotation of queries and keys (rotary). Both take coordinates of any number of axes."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def grid_coordinates(grid: tuple[int, ...], device: torch.device | str = "cpu") -> Tensor:
    """Integer coordinates of a token grid in raster order, ``(N, axes)``."""
    axes = [torch.arange(size, device=device, dtype=torch.float32) for size in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)


def sincos(where: Tensor, width: int, base: float = 10000.0) -> Tensor:
    """Fixed sine and cosine features of coordinates (Vaswani et al. 2017), last axis first, as MAE's and I-JEPA's tables are.

    Args:
        where: ``(..., axes)``.
        width: length of the result; each axis takes an equal even share, what is left over stays zero.
        base: wavelengths run from 2 pi to 2 pi * base.

    Returns:
        ``(..., width)``.
    """
    axes = where.shape[-1]
    half = width // (2 * axes)
    rate = base ** (-torch.arange(half, device=where.device, dtype=torch.float32) / max(half, 1))
    angle = where.float().flip(-1)[..., None] * rate
    table = torch.cat([angle.sin(), angle.cos()], -1).flatten(-2)
    return torch.nn.functional.pad(table, (0, width - table.shape[-1]))


@lru_cache(maxsize=64)
def sincos_grid(grid: tuple[int, ...], width: int, device: torch.device) -> Tensor:
    """:func:`sincos` of a whole grid, ``(N, width)``, made once."""
    return sincos(grid_coordinates(grid, device), width)


def rotary(where: Tensor, width: int, base: float = 100.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines that :func:`rotate` turns pairs of a head's features by (Su et al. 2021), axis after axis.

    Args:
        where: ``(..., N, axes)``.
        width: features a head.
        base: the longest wave over the shortest.

    Returns:
        two of ``(..., N, width)``; features beyond an even share for each axis are not turned.
    """
    axes = where.shape[-1]
    pairs = width // (2 * axes)
    rate = base ** (-torch.arange(pairs, device=where.device, dtype=torch.float32) / max(pairs, 1))
    angle = (where.float()[..., None] * rate).flatten(-2)
    angle = torch.nn.functional.pad(angle, (0, width // 2 - angle.shape[-1])).repeat_interleave(2, -1)
    angle = torch.nn.functional.pad(angle, (0, width - angle.shape[-1]))
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring pairs of ``x (..., N, width)``."""
    cos, sin = turn
    pair = x.unflatten(-1, (-1, 2))
    other = torch.stack([-pair[..., 1], pair[..., 0]], -1).flatten(-2)
    return x * cos.to(x.dtype) + other * sin.to(x.dtype)
