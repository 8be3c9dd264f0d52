"""Which tokens a network may see and which it is asked for. All samplers give equal counts within a batch, so shapes stay static."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from unveil.errors import Unusable
from unveil.parts.constants import constant
from unveil.parts.positions import grid_coordinates
from unveil.randomness import Generator


@dataclass
class Masks:
    """Places in the raster of a token grid.

    Attributes:
        context: seen, ``(B, K)``.
        targets: asked for, ``(B, blocks, M)``; blocks may overlap each other, never the context.
    """

    context: Tensor
    targets: Tensor


def random_masks(tokens: int, ratio: float, generator: Generator, keys: Tensor) -> Masks:
    """Hides a random share ``ratio`` of the tokens of each sample and asks for all of them (MAE, He et al. 2022)."""
    kept = max(1, int(tokens * (1 - ratio)))
    if kept == tokens:
        raise Unusable(f"of {tokens} tokens none is hidden at a share of {ratio:g}: raise --method.ratio, or use smaller patches")
    order = generator.permutation(tokens, keys)
    return Masks(order[:, :kept], order[:, None, kept:])


def block_size(grid: tuple[int, ...], share: float, aspect: float) -> tuple[int, ...]:
    """Sides of a block that covers ``share`` of the grid, each below the grid's. Where there are more than two axes, the
    block spans all but the last two."""
    *outer, height, width = (1, 1, *grid)[-max(2, len(grid)):]
    area = int(height * width * share)
    if height == 1:
        return (*outer, *grid[-2:-1], max(1, min(area, width - 1)))
    sides = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    return (*outer, max(1, min(sides[0], height - 1)), max(1, min(sides[1], width - 1)))


def _corners(grid: tuple[int, ...], size: tuple[int, ...], border: bool, count: tuple[int, ...], generator: Generator,
             keys: Tensor) -> Tensor:
    """Random block corners ``(B, *count, axes)``; without ``border`` the last row and column of the grid are never reached."""
    room = constant(tuple(max(1, whole - side + border) for whole, side in zip(grid, size)), keys)
    return (generator.uniform(*count, len(grid), keys=keys) * room).long()


def _inside(place: Tensor, corner: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bool ``(..., N)``: which places of the grid lie in the block at ``corner (..., axes)``."""
    offset = place - corner[..., None, :]
    return ((offset >= 0) & (offset < constant(size, place))).all(-1)


def layouts(grid: tuple[int, ...], target: tuple[int, ...], context: tuple[int, ...], blocks: int, border: bool,
            generator: Generator, keys: Tensor, tries: int = 1) -> tuple[Tensor, Tensor]:
    """Random multi-block layouts.

    Returns:
        the corners of the target blocks ``(B, tries, blocks, axes)`` and the context, bool ``(B, tries, N)``: its block
        without what any target block covers.
    """
    place = grid_coordinates(grid, keys.device)
    corners = _corners(grid, target, border, (tries, blocks), generator, keys)
    hidden = _inside(place, corners, target).any(2)
    seen = _inside(place, _corners(grid, context, border, (tries,), generator, keys), context)
    return corners, seen & ~hidden


@lru_cache(maxsize=256)
def _spare(grid: tuple[int, ...], target: tuple[int, ...], context: tuple[int, ...], blocks: int, border: bool, least: int,
           device: torch.device, draws: int = 128) -> tuple[int, Tensor, Tensor]:
    """Those of ``draws`` fixed layouts whose context is longer than ``least``: the fewest context tokens among them, which is
    what all samples of a batch get, and the layouts, as :func:`layouts` returns them.

    The published code takes the fewest in the local batch; a fixed set keeps the count equal on all processes.
    """
    corners, seen = layouts(grid, target, context, blocks, border, Generator("shortest"), torch.arange(draws))
    count = seen.sum(-1)[:, 0]
    good = count > least
    if not good.any():
        raise Unusable(f"a token grid of {'x'.join(map(str, grid))} leaves no context of more than {least} tokens beside {blocks} "
                       f"target blocks of {'x'.join(map(str, target))}: use smaller patches, or lower --method.min_keep")
    return int(count[good].min()), corners[good, 0].to(device), seen[good, 0].to(device)


def multiblock(grid: tuple[int, ...], generator: Generator, keys: Tensor, *, blocks: int, target_scale: tuple[float, float],
               target_aspect: tuple[float, float], context_scale: tuple[float, float], min_keep: int,
               faithful: bool = True, tries: int = 4) -> Masks:
    """I-JEPA's masks (Assran et al. 2023): several large target blocks, and one larger context block without them.

    Block sizes are drawn once a step, positions for each sample. A sample whose context would be shorter than the batch's
    takes the first of ``tries`` layouts that is long enough, else one of a fixed set that are: so this never loops, and a
    context never shows a target.

    Args:
        grid: of the tokens.
        generator: of this step.
        keys: of the samples, ``(B,)``.
        blocks: targets a sample.
        target_scale: smallest and largest share of the grid that a target covers.
        target_aspect: its smallest and largest height over width.
        context_scale: share of the grid that the context block covers before targets are taken out.
        min_keep: a context must have more tokens than this.
        faithful: as the published code has it: one number sets both scale and aspect of a block, the last row and column
            are never reached, and contexts are cut to the common count from the end of the raster. Otherwise two numbers,
            the whole grid, and a random cut.
        tries: layouts that are drawn for a sample.
    """
    draw = generator.number()
    tied = draw if faithful else generator.number()
    target = block_size(grid, _between(target_scale, draw), _between(target_aspect, tied))
    context = block_size(grid, _between(context_scale, generator.number()), 1.0)
    border = not faithful
    kept, spare_corners, spare_seen = _spare(grid, target, context, blocks, border, min_keep, keys.device)
    corners, seen = layouts(grid, target, context, blocks, border, generator, keys, tries)
    enough = seen.sum(-1) >= kept
    row, found, first = torch.arange(len(keys), device=keys.device), enough.any(1), enough.int().argmax(1)
    other = generator.integers(0, len(spare_seen), keys=keys)
    corners = torch.where(found[:, None, None], corners[row, first], spare_corners[other])
    seen = torch.where(found[:, None], seen[row, first], spare_seen[other])
    tokens = seen.shape[-1]
    rank = torch.arange(tokens, device=keys.device) / tokens if faithful else generator.uniform(tokens, keys=keys)
    order = (rank - seen.float()).argsort(dim=-1, stable=True)[:, :kept]
    return Masks(order, _raster(corners, target, grid))


def _between(limits: tuple[float, float], share: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * share


def _raster(corners: Tensor, size: tuple[int, ...], grid: tuple[int, ...]) -> Tensor:
    """Raster places ``(..., M)`` of the cells of blocks at ``corners (..., axes)``."""
    stride = tuple(math.prod(grid[axis + 1:]) for axis in range(len(grid)))
    cells = grid_coordinates(size, corners.device).long() + corners[..., None, :]
    return (cells * constant(stride, cells)).sum(-1)
