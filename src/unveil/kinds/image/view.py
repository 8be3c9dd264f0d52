"""Views of pictures: crops and changes of colour, batched."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Batch
from unveil.parts.constants import constant
from unveil.randomness import Generator


def cropped(batch: Batch, area: tuple[float, float], size: float, mirror: bool, generator: Generator) -> Batch:
    """Random resized crops (aspect 3/4 to 4/3) of ``size`` times the picture's side, half of them mirrored where ``mirror``."""
    keys, (height, width) = batch.keys, batch.values.shape[2:]
    out = (max(1, round(height * size)), max(1, round(width * size)))
    if area == (1.0, 1.0) and out == (height, width) and not mirror:
        return batch
    share = generator.uniform(1, keys=keys, low=area[0], high=area[1])
    bent = 1.0 if area == (1.0, 1.0) else (generator.uniform(1, keys=keys, low=-1.0) * np.log(4 / 3)).exp()
    side = torch.cat([(share / bent).sqrt(), (share * bent).sqrt()], 1).clamp_max(1.0)
    first = generator.uniform(2, keys=keys) * (1 - side)
    first, last = first, first + side
    if mirror:
        flip = torch.stack([torch.zeros_like(keys, dtype=torch.bool), generator.uniform(1, keys=keys)[:, 0] < 0.5], 1)
        first, last = torch.where(flip, last, first), torch.where(flip, first, last)
    return _window(batch, first, last, out)


def varied(x: Tensor, keys: Tensor, strength: float, solarise: float, generator: Generator) -> Tensor:
    """Pictures ``(B, C, H, W)`` with other brightness, contrast and, of three channels, colour; some blurred or solarised.

    All changes of colour are affine in it, so a picture gets their product at once and is cut to 0 to 1 once, not after each.
    """
    def drawn(share: float) -> Tensor:
        return generator.uniform(1, 1, keys=keys) < share

    def factor(reach: float) -> Tensor:
        return generator.uniform(1, 1, keys=keys, low=max(0.0, 1 - reach), high=1 + reach)

    none, colours = torch.eye(x.shape[1], device=x.device), x.shape[1] == 3
    brightness, contrast = factor(0.4 * strength), factor(0.4 * strength)
    change, shift = brightness * contrast * none, brightness * (1 - contrast) * x.mean((1, 2, 3)).view(-1, 1, 1)
    if colours:
        saturation, turn = factor(0.2 * strength), generator.uniform(1, 1, keys=keys, low=-1.0) * (0.1 * strength)
        change = change @ _turned(turn) @ (saturation * none + (1 - saturation) * _grey(x))
    changed = drawn(0.8)
    change, shift = torch.where(changed, change, none), torch.where(changed, shift, 0.0)
    if colours:
        change = torch.where(drawn(0.2 * min(1.0, strength)), _grey(x) @ change, change)
    x = torch.baddbmm(shift, change, x.flatten(2)).clamp_(0, 1).view_as(x)
    sigma = generator.uniform(1, 1, keys=keys, low=0.1, high=2.0)
    x = _soft(x, torch.where(drawn(0.5 * min(1.0, strength)), sigma, 0.0)[:, 0])
    return torch.minimum(x, torch.where(drawn(solarise * min(1.0, strength)), 1.0, 2.0)[..., None] - x)


def _window(batch: Batch, first: Tensor, last: Tensor, out: tuple[int, int]) -> Batch:
    """The rectangle from ``first (B, 2)`` to ``last (B, 2)`` in shares of the picture, read at ``out`` pixels; where first is
    beyond last the view is mirrored."""
    # Read at the middle of each pixel; grid_sample counts from -1 to 1. Rows and columns are apart, which is cheaper than affine_grid.
    middle = [(torch.arange(side, device=first.device) + 0.5) / side for side in out]
    down, across = (2 * (first[:, a:a + 1] + (last - first)[:, a:a + 1] * middle[a]) - 1 for a in (0, 1))
    grid = torch.stack([across[:, None].expand(-1, *out), down[:, :, None].expand(-1, *out)], -1)
    values = F.grid_sample(batch.values, grid, mode="bilinear", padding_mode="border", align_corners=False)
    low, length = batch.box[:, 0], batch.box[:, 1] - batch.box[:, 0]
    return replace(batch, values=values, box=torch.stack([low + first * length, low + last * length], 1))


def _grey(like: Tensor) -> Tensor:
    """The map ``(3, 3)`` of a colour to the grey of its brightness."""
    return constant((0.299, 0.587, 0.114), like).expand(3, 3)


def _turned(turn: Tensor) -> Tensor:
    """Maps ``(B, 3, 3)`` that turn colours about the grey axis by ``turn (B, 1, 1)`` of a full circle, in the YIQ plane."""
    to = constant(((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)), turn)
    cos, sin = (turn * 2 * torch.pi).cos(), (turn * 2 * torch.pi).sin()
    zero, one = torch.zeros_like(turn), torch.ones_like(turn)
    plane = torch.cat([torch.cat(row, 2) for row in ([one, zero, zero], [zero, cos, -sin], [zero, sin, cos])], 1)
    return torch.linalg.inv_ex(to).inverse @ plane @ to


def _soft(x: Tensor, sigma: Tensor) -> Tensor:
    """Blurred by ``sigma (B, 1)`` up to 2 in pixels of a picture 224 wide, so that a small picture is blurred as a scaled one would be."""
    scale = x.shape[-1] / 224
    return blurred(x, sigma * scale, math.ceil(3 * 2 * scale))


def blurred(x: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur of ``sigma (B, 1)`` pixels, cut off at ``radius``, of pictures that go on in their mirror image."""
    reach = torch.arange(-radius, radius + 1, device=x.device)
    kernel = (-reach.square() / (2 * sigma.clamp_min(1e-2).square())).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(x.shape[1], 0)[:, None]
    flat = F.pad(x.flatten(0, 1)[None], (radius,) * 4, mode="reflect")
    flat = F.conv2d(flat, kernel[:, :, :, None], groups=len(kernel))
    return F.conv2d(flat, kernel[:, :, None, :], groups=len(kernel))[0].view_as(x)
