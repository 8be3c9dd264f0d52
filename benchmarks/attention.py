"""SDPA beside plain attention, forward and backward, over sizes and precisions: what decides ``unveil.parts.blocks.attend``."""

from __future__ import annotations

import torch
from rows import processor_ms, write
from torch.nn import functional as F

SIZES = [(64, 4, 16, 24), (64, 4, 64, 24), (16, 4, 128, 24), (16, 4, 256, 24), (8, 6, 196, 64), (4, 6, 512, 64)]


def plain(q, k, v):
    """Softmax attention written out."""
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v


def main() -> None:
    """Prints and keeps a row a size and precision."""
    rows = []
    for batch, heads, length, width in SIZES:
        for precision in (torch.float32, torch.bfloat16):
            x = [torch.randn(batch, heads, length, width, dtype=precision, requires_grad=True) for _ in range(3)]
            each = {name: processor_ms(lambda run=run, x=x: run(*x).sum().backward())
                    for name, run in (("sdpa", F.scaled_dot_product_attention), ("plain", plain))}
            rows.append({"batch": batch, "heads": heads, "length": length, "head_width": width,
                         "precision": str(precision).removeprefix("torch.")} | each)
            print(rows[-1])
    write("attention", rows)


if __name__ == "__main__":
    main()
