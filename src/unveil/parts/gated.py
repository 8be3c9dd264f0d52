"""Pre-norm blocks with a gated network and attention that may look elsewhere: what sensor and text transformers of SLIP are built from."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from unveil.parts.blocks import attend
from unveil.parts.positions import rotate


class Attend(nn.Module):
    """Attention of ``width`` in ``heads`` on tokens of a width of their own; the map that ends it has no bias.

    Its dropout falls on attention weights, in training alone.
    """

    def __init__(self, width: int, heads: int, context: int | None = None, dropout: float = 0.0):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.key, self.value = nn.Linear(context or width, width), nn.Linear(context or width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None, turn: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """``x (B, N, width)`` and ``context (B, M, context)``; ``mask`` bool, of what may be seen, shaped to meet ``(B, heads, N, M)``."""
        q, k, v = (part(seen).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for part, seen in ((self.query, x), (self.key, context), (self.value, context)))
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        rate = self.drop.p if self.drop.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=rate) if rate else attend(q, k, v, mask)
        return self.out(out.transpose(1, 2).flatten(-2))


class Gate(nn.Module):
    """``outer(silu(gate(x)) * inner(x))``, without biases (Shazeer 2020)."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate, self.inner = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.outer = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(F.silu(self.gate(x)) * self.inner(x))


class GatedBlock(nn.Module):
    """Self-attention, then a gated network, each of normed tokens and added to its input."""

    def __init__(self, width: int, heads: int, ratio: float = 4.0, dropout: float = 0.0):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.network = Attend(width, heads, dropout=dropout), Gate(width, int(width * ratio))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, turn: tuple[Tensor, Tensor] | None = None) -> Tensor:
        normed = self.norm1(x)
        x = x + self.drop(self.attention(normed, normed, mask, turn))
        return x + self.network(self.norm2(x))


class Cross(nn.Module):
    """Attention of normed tokens on normed others; what it gives is not yet added to anything."""

    def __init__(self, width: int, heads: int, context: int, dropout: float = 0.0):
        super().__init__()
        self.norm, self.context_norm = nn.LayerNorm(width), nn.LayerNorm(context)
        self.attention = Attend(width, heads, context, dropout)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.attention(self.norm(x), self.context_norm(context), mask)


def xavier(module: nn.Module) -> None:
    """Xavier uniform weights and zero biases for linear maps."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
