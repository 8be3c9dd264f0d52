"""Transformer blocks, dense or packed, as ViT lays them out (Dosovitskiy et al. 2021): pre-norm, GELU, biases everywhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.parts.positions import rotate


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention over ``(B, heads, N, width)``.

    On a CPU in bfloat16 the plain form is 2.5 to 10 times faster up to 512 tokens (see ``benchmarks/attention.py``).
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and mask is None and k.shape[-2] <= 512:
        heads, (q, k, v) = q.shape[:2], (x.flatten(0, 1) for x in (q, k, v))
        scores = torch.baddbmm(q.new_empty(()), q, k.transpose(1, 2), beta=0, alpha=q.shape[-1] ** -0.5)
        return (scores.softmax(-1) @ v).unflatten(0, heads)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class Attention(nn.Module):
    """Multi-head self-attention; one linear map makes queries, keys and values, in this order."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None, turn: tuple[Tensor, Tensor] | None = None,
                last: int | None = None) -> Tensor:
        """``x (B, N, D)``; ``mask`` bool ``(B, N)`` of the keys that may be seen; ``turn`` from ``positions.rotary``; answers are
        made for the ``last`` tokens alone, or for all."""
        if last is None:
            q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        else:
            (own, seen), (own_bias, seen_bias) = (part.tensor_split([x.shape[-1]]) for part in (self.qkv.weight, self.qkv.bias))
            q = F.linear(x[:, -last:], own, own_bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            k, v = F.linear(x, seen, seen_bias).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = rotate(q, turn if last is None else tuple(part[..., -last:, :] for part in turn)), rotate(k, turn)
        out = attend(q, k, v, None if mask is None else mask[:, None, None])
        return self.out(out.transpose(1, 2).flatten(-2))


class Drop(nn.Module):
    """Stochastic depth: drops the branch of a whole sample with probability ``rate`` (Huang et al. 2016)."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = torch.empty(len(x), *[1] * (x.dim() - 1), device=x.device).bernoulli_(1 - self.rate)
        return x * (keep / (1 - self.rate)).to(x.dtype)


class Block(nn.Module):
    """Attention, then a two-layer network, each added to its input."""

    def __init__(self, width: int, heads: int, mlp_ratio: float = 4.0, drop_path: float = 0.0):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.inner, self.outer = nn.Linear(width, int(width * mlp_ratio)), nn.Linear(int(width * mlp_ratio), width)
        self.drop = Drop(drop_path)

    def forward(self, x: Tensor, mask: Tensor | None = None, turn: tuple[Tensor, Tensor] | None = None,
                last: int | None = None) -> Tensor:
        """As :class:`Attention` takes them. ``last`` saves a final block the work on tokens that nobody reads."""
        changed = self.drop(self.attention(self.norm1(x), mask, turn, last))
        x = changed + (x if last is None else x[:, -last:])
        return x + self.drop(self.outer(F.gelu(self.inner(self.norm2(x)))))


def initialise(module: nn.Module, blocks: nn.ModuleList | None = None) -> None:
    """Truncated normal of deviation 0.02 sqrt(768 / inputs) for linear maps, zero biases: the published 0.02 at the width it
    was chosen for, and the same gain at any other. The maps that end the n-th block are divided by sqrt(2n), as in I-JEPA
    (Assran et al. 2023), so that the residual stream does not grow with depth."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=0.02 * (768 / part.in_features) ** 0.5, a=-2.0, b=2.0)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for number, block in enumerate(blocks or [], start=1):
        for last in (block.attention.out, block.outer):
            last.weight.data.div_((2.0 * number) ** 0.5)
