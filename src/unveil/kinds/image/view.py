"""Views of pictures: crops and changes of colour, batched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.contracts import Batch
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
    """Pictures ``(B, C, H, W)`` with other brightness, contrast and, of three channels, colour; some blurred or solarised."""
    def sometimes(share: float, changed: Tensor) -> Tensor:
        return torch.where(generator.uniform(1, 1, 1, keys=keys) < share, changed, x)

    def factor(reach: float) -> Tensor:
        return generator.uniform(1, 1, 1, keys=keys, low=max(0.0, 1 - reach), high=1 + reach)

    y = (x * factor(0.4 * strength)).clamp(0, 1)
    mean = y.mean((1, 2, 3), keepdim=True)
    y = (mean + (y - mean) * factor(0.4 * strength)).clamp(0, 1)
    if x.shape[1] == 3:
        grey = _grey(y)
        y = (grey + (y - grey) * factor(0.2 * strength)).clamp(0, 1)
        y = _turn_hue(y, generator.uniform(1, 1, 1, keys=keys, low=-1.0) * (0.1 * strength))
    x = sometimes(0.8, y)
    if x.shape[1] == 3:
        x = sometimes(0.2 * min(1.0, strength), _grey(x).expand_as(x))
    x = sometimes(0.5 * min(1.0, strength), _soft(x, generator.uniform(1, keys=keys, low=0.1, high=2.0)))
    return sometimes(solarise * min(1.0, strength), torch.where(x >= 0.5, 1 - x, x))


def _window(batch: Batch, first: Tensor, last: Tensor, out: tuple[int, int]) -> Batch:
    """The rectangle from ``first (B, 2)`` to ``last (B, 2)`` in shares of the picture, read at ``out`` pixels; where first is
    beyond last the view is mirrored."""
    scale, middle = last - first, first + last - 1
    theta = torch.zeros(len(batch), 2, 3, device=first.device)
    theta[:, 0, 0], theta[:, 0, 2] = scale[:, 1], middle[:, 1]
    theta[:, 1, 1], theta[:, 1, 2] = scale[:, 0], middle[:, 0]
    grid = F.affine_grid(theta, [len(batch), 1, *out], align_corners=False)
    values = F.grid_sample(batch.values, grid, mode="bilinear", padding_mode="border", align_corners=False)
    low, length = batch.box[:, 0], batch.box[:, 1] - batch.box[:, 0]
    return replace(batch, values=values, box=torch.stack([low + first * length, low + last * length], 1))


def _grey(x: Tensor) -> Tensor:
    return (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _turn_hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turns colours about the grey axis by ``turn`` of a full circle, in the YIQ plane (linear, so it needs no branches)."""
    to = x.new_tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    y, i, q = (to @ x.flatten(2)).unbind(1)
    angle = turn.view(-1, 1) * (2 * torch.pi)
    turned = torch.stack([y, i * angle.cos() - q * angle.sin(), i * angle.sin() + q * angle.cos()], 1)
    return (torch.linalg.inv_ex(to).inverse @ turned).view_as(x).clamp(0, 1)


def _soft(x: Tensor, sigma: Tensor) -> Tensor:
    """Blurred by ``sigma (B, 1)`` in pixels of a picture 224 wide, so that a small picture is blurred as a scaled one would be."""
    side = x.shape[-1]
    return blurred(x, sigma * side / 224, max(1, round(side * 0.05)))


def blurred(x: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur of ``sigma (B, 1)`` pixels, cut off at ``radius``, of pictures that go on in their mirror image."""
    reach = torch.arange(-radius, radius + 1, device=x.device)
    kernel = (-reach.square() / (2 * sigma.clamp_min(1e-2).square())).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(x.shape[1], 0)[:, None]
    flat = F.pad(x.flatten(0, 1)[None], (radius,) * 4, mode="reflect")
    flat = F.conv2d(flat, kernel[:, :, :, None], groups=len(kernel))
    return F.conv2d(flat, kernel[:, :, None, :], groups=len(kernel))[0].view_as(x)
