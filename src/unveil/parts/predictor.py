"""Says what stands at hidden places, given what is seen: the predictor of joint-embedding methods and the decoder of MAE."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unveil.parts.blocks import Block, initialise
from unveil.parts.positions import sincos_grid


class Predictor(nn.Module):
    """A narrow transformer over seen tokens and one mask token for each asked place, all with fixed sin-cos positions.

    Args:
        width_in: of the seen tokens.
        width_out: of an answer.
        width: of its blocks.
        depth: number of blocks.
        heads: attention heads.
    """

    def __init__(self, width_in: int, width_out: int, *, width: int, depth: int, heads: int):
        super().__init__()
        self.enter = nn.Linear(width_in, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.leave = nn.Linear(width, width_out)
        initialise(self, self.blocks)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def units(self) -> list[nn.Module]:
        """Its blocks; see :meth:`unveil.contracts.Encoder.units`."""
        return list(self.blocks)

    def forward(self, seen: Tensor, seen_at: Tensor, asked_at: Tensor, grid: tuple[int, ...]) -> Tensor:
        """Answers at the asked places.

        Args:
            seen: ``(B, K, width_in)``.
            seen_at: their places in the raster of ``grid``, ``(B, K)``.
            asked_at: ``(B, M)``, or ``(B, blocks, M)`` for blocks that are asked for separately and do not see each other.
            grid: the token grid.

        Returns:
            ``(*asked_at.shape, width_out)``.
        """
        place = sincos_grid(grid, self.mask_token.shape[0], seen.device)
        blocks = asked_at.shape[1] if asked_at.dim() == 3 else 1
        flat = asked_at.reshape(-1, asked_at.shape[-1])
        context = self.enter(seen)
        context = (context + place[seen_at]).repeat_interleave(blocks, 0)
        asked = self.mask_token + place[flat]
        x = torch.cat([context, asked], 1)
        *first, final = self.blocks
        for block in first:
            x = block(x)
        answer = self.leave(self.norm(final(x, last=asked.shape[1])))
        return answer.view(*asked_at.shape, -1)
