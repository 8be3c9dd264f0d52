"""Corruptions of pictures, for any number of channels and any size.

The severities of noise, contrast, brightness and pixelate are those of ImageNet-C (Hendrycks and Dietterich 2019, arXiv 1903.12261),
which are shares already. Blur is that of CIFAR-10-C, by the same authors: their small pictures are nearer to ours. Occlusion and rotation
are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.kinds.image.view import blurred
from unveil.randomness import Generator

LEVELS = {
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # deviation, over the range of values
    "blur": (0.4, 0.6, 0.7, 0.8, 1.0),  # deviation of the Gaussian in pixels; of a picture wider than 32, in 32nds of its side
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),  # what is left of the differences from the mean
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),  # what is added, over the range of values
    "occlusion": (0.05, 0.1, 0.2, 0.35, 0.5),  # share of the picture that a square in the mean colour covers
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),  # side in coarse pixels over the side
    "rotation": (4.0, 8.0, 12.0, 18.0, 25.0),  # degrees, to the left or the right
}


def corrupted(x: Tensor, keys: Tensor, name: str, severity: int, generator: Generator) -> Tensor:
    """Pictures ``(B, C, H, W)`` at a severity of 1 to 5. Values stay in [0, 1] or, where a picture goes beyond, in its own range."""
    low, high = x.amin((1, 2, 3), keepdim=True).clamp_max(0), x.amax((1, 2, 3), keepdim=True).clamp_min(1)
    unit = (x - low) / (high - low)
    return low + (high - low) * _CHANGES[name](unit, keys, LEVELS[name][severity - 1], generator).clamp(0, 1)


def _noise(x: Tensor, keys: Tensor, level: float, generator: Generator) -> Tensor:
    return x + level * generator.normal(*x.shape[1:], keys=keys)


def _blur(x: Tensor, keys: Tensor, level: float, generator: Generator) -> Tensor:
    sigma = level * max(1.0, x.shape[-1] / 32)
    return blurred(x, x.new_full((len(x), 1), sigma), math.ceil(3 * sigma))


def _contrast(x: Tensor, keys: Tensor, level: float, generator: Generator) -> Tensor:
    mean = x.mean((2, 3), keepdim=True)
    return mean + level * (x - mean)


def _brightness(x: Tensor, keys: Tensor, level: float, generator: Generator) -> Tensor:
    return x + level


def _occlusion(x: Tensor, keys: Tensor, level: float, generator: Generator) -> Tensor:
    sides = [max(1, round(size * level**0.5)) for size in x.shape[2:]]
    covered = x.new_ones(1, 1, 1, 1, dtype=torch.bool)
    for axis, (size, side) in enumerate(zip(x.shape[2:], sides, strict=True)):
        first = (generator.uniform(1, 1, 1, keys=keys) * (size - side + 1)).long()
        place = torch.arange(size, device=x.device).view((1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1))
        covered = covered & (place >= first) & (place < first + side)
    return torch.where(covered, x.mean((2, 3), keepdim=True), x)


def _pixelate(x: Tensor, keys: Tensor, level: float, generator: Generator) -> Tensor:
    down, across = (_cells(size, max(1, round(size * level)), x) for size in x.shape[2:])
    return down @ x @ across


def _rotation(x: Tensor, keys: Tensor, level: float, generator: Generator) -> Tensor:
    angle = math.radians(level) * (1 - 2 * generator.integers(0, 2, 1, keys=keys).to(x))[:, 0]
    ratio = x.shape[2] / x.shape[3]
    zero = torch.zeros_like(angle)
    turn = torch.stack([angle.cos(), -angle.sin() * ratio, zero, angle.sin() / ratio, angle.cos(), zero], 1).view(-1, 2, 3)
    grid = F.affine_grid(turn, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _cells(size: int, count: int, like: Tensor) -> Tensor:
    """Symmetric map ``(size, size)`` that gives each of ``size`` places the mean over its cell, one of ``count`` nearly equal ones."""
    cell = torch.arange(size, device=like.device) * count // size
    same = (cell[:, None] == cell).to(like)
    return same / same.sum(1)


_CHANGES = {"noise": _noise, "blur": _blur, "contrast": _contrast, "brightness": _brightness, "occlusion": _occlusion,
            "pixelate": _pixelate, "rotation": _rotation}
