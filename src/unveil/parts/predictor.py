"""Says what stands at hidden places, given what is seen: the predictor of joint-embedding methods and the decoder of MAE."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unveil.parts.blocks import Block, initialise
from unveil.parts.positions import grid_coordinates, rotary, sincos_grid


class Predictor(nn.Module):
    """A narrow transformer over seen tokens and one mask token for each asked place, all with fixed sin-cos positions or rotary ones.

    Args:
        width_in: of the seen tokens.
        width_out: of an answer.
        width: of its blocks.
        depth: number of blocks.
        heads: attention heads.
        turned: positions turn queries and keys in every block instead of being added once.
        tokens: number of mask tokens, for ways of asking that are to be told apart.
    """

    def __init__(self, width_in: int, width_out: int, *, width: int, depth: int, heads: int, turned: bool = False, tokens: int = 1):
        super().__init__()
        self.heads, self.turned = heads, turned
        self.enter = nn.Linear(width_in, width)
        self.mask_token = nn.Parameter(torch.zeros(width) if tokens == 1 else torch.zeros(tokens, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.leave = nn.Linear(width, width_out)
        initialise(self, self.blocks)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def units(self) -> list[nn.Module]:
        """Its blocks; see :meth:`unveil.contracts.Encoder.units`."""
        return list(self.blocks)

    def forward(self, seen: Tensor, seen_at: Tensor, asked_at: Tensor, grid: tuple[int, ...], token: int | None = None) -> Tensor:
        """Answers at the asked places.

        Args:
            seen: ``(B, K, width_in)``.
            seen_at: their places in the raster of ``grid``, ``(B, K)``.
            asked_at: ``(B, M)``, or ``(B, blocks, M)`` for blocks that are asked for separately and do not see each other.
            grid: the token grid.
            token: which mask token, where there are several.

        Returns:
            ``(*asked_at.shape, width_out)``.
        """
        blocks = asked_at.shape[1] if asked_at.dim() == 3 else 1
        flat = asked_at.reshape(-1, asked_at.shape[-1])
        context = self.enter(seen)
        mask = self.mask_token if token is None else self.mask_token[token]
        if self.turned:
            x = torch.cat([context.repeat_interleave(blocks, 0), mask.to(context.dtype).expand(*flat.shape, -1)], 1)
            at = grid_coordinates(grid, seen.device)[torch.cat([seen_at.repeat_interleave(blocks, 0), flat], 1)]
            turn = tuple(part[:, None] for part in rotary(at, x.shape[-1] // self.heads))
        else:
            place, turn = sincos_grid(grid, context.shape[-1], seen.device), None
            x = torch.cat([(context + place[seen_at]).repeat_interleave(blocks, 0), mask + place[flat]], 1)
        *first, final = self.blocks
        for block in first:
            x = block(x, turn=turn)
        answer = self.leave(self.norm(final(x, turn=turn, last=flat.shape[1])))
        return answer.view(*asked_at.shape, -1)
