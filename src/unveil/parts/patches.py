"""Cutting grids of one, two or three dimensions into patches."""

from __future__ import annotations

import math

from torch import Tensor

from unveil.contracts import Batch
from unveil.errors import Unusable
from unveil.parts.constants import constant
from unveil.parts.positions import grid_coordinates


def patchify(x: Tensor, patch: tuple[int, ...]) -> Tensor:
    """``(B, C, *shape)`` -> ``(B, N, C * prod(patch))`` in raster order; values of a patch are channel first, as a convolution
    kernel's are. What does not fill a last patch is left out."""
    grid = tuple(size // side for size, side in zip(x.shape[2:], patch, strict=True))
    for axis, (cells, side) in enumerate(zip(grid, patch, strict=True)):
        x = x.narrow(2 + axis, 0, cells * side)
    split = [size for cells, side in zip(grid, patch, strict=True) for size in (cells, side)]
    x = x.reshape(*x.shape[:2], *split)
    dims = len(patch)
    order = [0, *(2 + 2 * d for d in range(dims)), 1, *(3 + 2 * d for d in range(dims))]
    return x.permute(order).reshape(x.shape[0], math.prod(grid), x.shape[1] * math.prod(patch))


def unpatchify(tokens: Tensor, grid: tuple[int, ...], patch: tuple[int, ...]) -> Tensor:
    """The inverse of :func:`patchify`: ``(B, N, C * prod(patch))`` -> ``(B, C, *shape)``."""
    dims, channels = len(patch), tokens.shape[-1] // math.prod(patch)
    x = tokens.reshape(len(tokens), *grid, channels, *patch)
    order = [0, 1 + dims, *(axis for d in range(dims) for axis in (1 + d, 2 + dims + d))]
    return x.permute(order).reshape(len(tokens), channels, *(cells * side for cells, side in zip(grid, patch, strict=True)))


def token_grid(shape: tuple[int, ...], patch: tuple[int, ...]) -> tuple[int, ...]:
    """Patches along each axis.

    Raises:
        Unusable: where a sample is smaller than one patch.
    """
    grid = tuple(size // side for size, side in zip(shape, patch, strict=True))
    if 0 in grid:
        raise Unusable(f"a sample of {'x'.join(map(str, shape))} is smaller than one patch of {'x'.join(map(str, patch))}: "
                       "choose a smaller --encoder.patch or larger samples")
    return grid


def centres(batch: Batch, grid: tuple[int, ...], patch: tuple[int, ...]) -> Tensor:
    """Coordinates of patch centres in the sample's source ``(B, N, axes)``, from the box that the view covers."""
    place = grid_coordinates(grid, batch.values.device)
    size = constant(tuple(batch.values.shape[2:]), place)
    share = (place + 0.5) * constant(patch, place) / size
    if batch.box is None:
        return (share * size).expand(len(batch), -1, -1)
    low, high = batch.box[:, :1], batch.box[:, 1:]
    return low + share * (high - low)
