"""Masks over time: stretches of a sequence, and tubes that run through all frames of a film. Counts are equal within a batch."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from unveil.errors import Unusable
from unveil.parts.masking import Masks
from unveil.parts.positions import grid_coordinates
from unveil.randomness import Generator


def stretches(tokens: int, share: float, length: tuple[int, int], generator: Generator, keys: Tensor) -> Masks:
    """Hides contiguous stretches until ``share`` of a sequence is hidden, and asks for all of it.

    Stretches of random length and place are laid one over the other; a token is hidden by the first that covers it. The tokens that are
    hidden first are taken, as many in every sample, so of the last stretch a part may stay in sight.

    Args:
        tokens: N, of the sequence.
        share: of it that is hidden.
        length: shortest and longest stretch, in tokens.
        generator: of this step.
        keys: of the samples, ``(B,)``.
    """
    hidden = round(tokens * share)
    if not 0 < hidden < tokens:
        raise Unusable(f"of {tokens} tokens {hidden} are hidden at a share of {share:g}, which leaves nothing to "
                       f"{'see' if hidden else 'ask for'}: change --method.share, or use smaller patches")
    shortest, longest = (min(side, tokens) for side in length)
    count = max(8, math.ceil(8 * tokens / shortest))  # far more than are ever needed
    long = generator.integers(shortest, longest + 1, count, keys=keys)
    start = (generator.uniform(count, keys=keys) * (tokens - long + 1)).long()
    place = torch.arange(tokens, device=keys.device)
    covers = (place >= start[..., None]) & (place < (start + long)[..., None])
    first = torch.where(covers.any(1), covers.int().argmax(1), count)
    order = first.argsort(dim=-1, stable=True)
    return Masks(order[:, hidden:].sort(-1).values, order[:, :hidden].sort(-1).values[:, None])


def tube_size(cells: tuple[int, int], share: float, aspect: float) -> tuple[int, int]:
    """Height and width of a block that covers ``share`` of a plane of cells and may fill it along an axis (V-JEPA)."""
    area = int(math.prod(cells) * share)
    sides = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    return tuple(max(1, min(side, whole)) for side, whole in zip(sides, cells, strict=True))


def untouched(cells: tuple[int, int], size: tuple[int, int], blocks: int, generator: Generator, keys: Tensor, tries: int = 1) -> Tensor:
    """Bool ``(B, tries, cells)``: what ``blocks`` blocks of a size at random places leave uncovered."""
    room = torch.tensor([whole - side + 1 for whole, side in zip(cells, size, strict=True)], device=keys.device)
    corner = (generator.uniform(tries, blocks, 2, keys=keys) * room).long()
    offset = grid_coordinates(cells, keys.device) - corner[..., None, :]
    return ~((offset >= 0) & (offset < offset.new_tensor(size))).all(-1).any(2)


@lru_cache(maxsize=256)
def _usual(cells: tuple[int, int], size: tuple[int, int], blocks: int, draws: int = 256) -> tuple[int, int, Tensor]:
    """Fewest and most cells that a layout may leave uncovered, the quartiles of ``draws`` fixed ones that leave any, and those of them that
    do."""
    seen = untouched(cells, size, blocks, Generator("tubes"), torch.arange(draws))[:, 0]
    count = seen.sum(-1)
    if not (count > 0).any():
        raise Unusable(f"{blocks} blocks of {size[0]}x{size[1]} always cover all {cells[0]}x{cells[1]} places of a frame, so nothing is "
                       "left to see: use smaller patches, or blocks")
    some = count[count > 0].float()
    low, high = (int(some.quantile(share, interpolation="nearest")) for share in (0.25, 0.75))
    return low, high, seen[(count >= low) & (count <= high)]


def tubes(grid: tuple[int, int, int], generator: Generator, keys: Tensor, *, blocks: int, share: float, aspect: tuple[float, float],
          tries: int = 8) -> Masks:
    """V-JEPA's masks (Bardes et al. 2024): blocks of one frame that run through all frames. Their union is asked for, the rest is seen.

    The size of blocks is drawn once a step, their places for each sample. The published code cuts the lists of a batch to its shortest;
    so that counts are those of the step and not of the part of a batch that a process has, they are the quartiles of a fixed set of layouts
    here, a sample takes the first of ``tries`` layouts that lies between them, and what it has too much of is cut at random, whole tubes at
    a time. A batch of two, as published, keeps about as much.

    Args:
        grid: frames, height and width, in tokens.
        generator: of this step.
        keys: of the samples, ``(B,)``.
        blocks: their number.
        share: of a frame that a block covers.
        aspect: smallest and largest height over width.
        tries: layouts that are drawn for a sample; where none will do one of the fixed set is taken.
    """
    frames, *cells = grid
    cells = tuple(cells)
    size = tube_size(cells, share, aspect[0] + generator.number() * (aspect[1] - aspect[0]))
    low, high, spare = _usual(cells, size, blocks)
    seen = untouched(cells, size, blocks, generator, keys, tries)
    count = seen.sum(-1)
    usual = (count >= low) & (count <= high)
    row = torch.arange(len(keys), device=keys.device)
    other = spare.to(keys.device)[generator.integers(0, len(spare), keys=keys)]
    seen = torch.where(usual.any(1)[:, None], seen[row, usual.int().argmax(1)], other)
    order = (generator.uniform(math.prod(cells), keys=keys) - seen.float()).argsort(-1)  # those that are seen first
    through = lambda places: (torch.arange(frames, device=keys.device)[:, None] * math.prod(cells)
                              + places.sort(-1).values[:, None]).flatten(1)
    return Masks(through(order[:, :low]), through(order[:, high:])[:, None])
