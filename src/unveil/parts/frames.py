"""Frames of a series, and crops of frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.randomness import Generator

TRIES = 10  # crops that are drawn before the middle is taken, as torchvision does


def frame_starts(length: int, frame: int, hop: int, most: int) -> list[int]:
    """First values of the frames that lie wholly in a series; of more than ``most`` evenly spaced ones, as V-JEPA's reader takes them. A
    series that is shorter than a frame has one."""
    count = max(0, length - frame) // hop + 1
    chosen = range(count) if count <= most else [min(math.floor(k * count / max(most - 1, 1)), count - 1) for k in range(most)]
    return [hop * number for number in chosen]


def stacked(x: Tensor, frame: int, starts: list[int]) -> Tensor:
    """Series ``(..., T)`` to frames ``(..., len(starts), frame)``; what a short series lacks is zero."""
    x = F.pad(x, (0, max(0, frame - x.shape[-1])))
    return torch.stack([x[..., start:start + frame] for start in starts], -2)


def plane_crops(rows: int, columns: int, area: tuple[float, float], aspect: tuple[float, float], generator: Generator,
                keys: Tensor) -> Tensor:
    """Boxes of random area and aspect on a plane, as pictures are cropped (Szegedy et al. 2015, in the form of torchvision and V-JEPA): the
    first of ten draws that fits, else the middle in the nearest aspect that does.

    A plane that is much wider than high has no place for a box of a large area and a nearly square aspect: then no draw ever fits, and
    every box is the same one from the middle. On the 19 channels by 500 values of EEG-VJEPA's published settings it always is.

    Args:
        rows: of the plane.
        columns: of the plane.
        area: smallest and largest share of the plane.
        aspect: smallest and largest width over height.
        generator: of this step.
        keys: of the samples, ``(B,)``.

    Returns:
        top, left, height and width ``(B, 4)``, whole numbers in float32.
    """
    size = rows * columns * generator.uniform(TRIES, keys=keys, low=area[0], high=area[1])
    shape = generator.uniform(TRIES, keys=keys, low=math.log(aspect[0]), high=math.log(aspect[1])).exp()
    width, height = (size * shape).sqrt().round(), (size / shape).sqrt().round()
    fits = (width > 0) & (width <= columns) & (height > 0) & (height <= rows)
    first = fits.int().argmax(1, keepdim=True)
    height, width = height.gather(1, first), width.gather(1, first)
    corner = generator.uniform(2, keys=keys)
    top, left = (corner[:, :1] * (rows - height + 1)).floor(), (corner[:, 1:] * (columns - width + 1)).floor()
    found = torch.cat([top, left, height, width], 1)
    return torch.where(fits.any(1, keepdim=True), found, found.new_tensor(_middle(rows, columns, aspect)))


def _middle(rows: int, columns: int, aspect: tuple[float, float]) -> tuple[int, int, int, int]:
    ratio = columns / rows
    height = round(columns / aspect[0]) if ratio < aspect[0] else rows
    width = round(rows * aspect[1]) if ratio > aspect[1] else columns
    return (rows - height) // 2, (columns - width) // 2, height, width


def time_crops(rows: int, columns: int, share: tuple[float, float], generator: Generator, keys: Tensor) -> Tensor:
    """Boxes ``(B, 4)`` as :func:`plane_crops` gives them that keep every row and a random stretch of the columns, of a share between the
    two."""
    width = columns * generator.uniform(1, keys=keys, low=share[0], high=share[1])
    left = generator.uniform(1, keys=keys) * (columns - width)
    zero = torch.zeros_like(width)
    return torch.cat([zero, left, zero + rows, width], 1)


def cropped(x: Tensor, box: Tensor) -> Tensor:
    """Frames ``(B, rows, frames, columns)``, of each sample the part in its ``box (B, 4)``, stretched to the whole again by linear
    interpolation along both axes; what lies outside the box has no part in it."""
    top, left, height, width = box[:, :, None].unbind(1)
    x = _read(x, _places(left, width, x.shape[3])[:, None, None], 3)
    return _read(x, _places(top, height, x.shape[1])[:, :, None, None], 1)


def _places(start: Tensor, length: Tensor, count: int) -> Tensor:
    """Where ``count`` even points lie in stretches ``start (B, 1)`` of ``length (B, 1)``."""
    even = (torch.arange(count, device=start.device) + 0.5) / count
    return (start + even * length - 0.5).clamp(start, start + (length - 1).clamp_min(0))


def _read(x: Tensor, at: Tensor, axis: int) -> Tensor:
    """``x`` at fractional places ``at`` along ``axis``; ``at`` has one entry along the other axes but the first."""
    left = at.long().clamp(0, x.shape[axis] - 1)
    right = (left + 1).clamp_max(x.shape[axis] - 1)
    shape = [size if number != axis else at.shape[axis] for number, size in enumerate(x.shape)]
    low, high = (x.gather(axis, index.expand(shape)) for index in (left, right))
    return low + (high - low) * (at - left).to(x.dtype)
