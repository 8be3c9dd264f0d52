"""Tokens: what every encoder eats, whatever kind of data they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass
class Tokens:
    """Vectors with places.

    Dense tokens have equal counts: ``values (B, N, D)``. Packed tokens are ragged and laid end to end: ``values (sum N, D)``
    with the row's sample in ``sample (sum N)``.

    Attributes:
        values: dense ``(B, N, D)`` or packed ``(sum N, D)``.
        where: coordinates ``(B, N, A)`` or ``(sum N, A)`` in the source's own units (seconds, base patches, angstrom).
        valid: bool ``(B, N)``; False where a token covers no measured value. None says all are.
        grid: static shape of the token grid, or None. Mask samplers need it.
        raw: the values that each token covers, ``(B, N, P)``: the target of pixel-type losses.
        lead: ``(B, L, D)`` tokens without a place, such as a class token; they go before the others and are never dropped.
        sample: packed only, ``(sum N)`` int64, ascending.
        count: packed only, the number of samples.
        longest: packed only, at least the number of tokens of the longest sample; collate knows it, so nothing waits for it.
    """

    values: Tensor
    where: Tensor
    valid: Tensor | None = None
    grid: tuple[int, ...] | None = None
    raw: Tensor | None = None
    lead: Tensor | None = None
    sample: Tensor | None = None
    count: int | None = None
    longest: int | None = None

    @property
    def packed(self) -> bool:
        return self.sample is not None

    def take(self, index: Tensor) -> Tokens:
        """The tokens at ``index``: ``(B, K)`` per row for dense tokens, flat ``(M,)`` for packed ones. The rest is dropped."""
        pick = (lambda x: x[index]) if self.packed else (lambda x: take(x, index))
        kept = {name: pick(x) for name in ("values", "where", "valid", "raw", "sample")
                if (x := getattr(self, name)) is not None}
        return replace(self, **kept, grid=None)


def take(x: Tensor, index: Tensor) -> Tensor:
    """Rows of each sample: ``x (B, N, ...)``, ``index (B, K)`` -> ``(B, K, ...)``."""
    shape = index.shape + x.shape[2:]
    return x.gather(1, index.view(index.shape + (1,) * (x.dim() - 2)).expand(shape))


def pool(values: Tensor, valid: Tensor | None = None, sample: Tensor | None = None, count: int | None = None) -> Tensor:
    """Mean over the tokens of each sample, dense or packed; a sample without a valid token gives zeros.

    Returns:
        ``(B, D)``.
    """
    if sample is None:
        if valid is None:
            return values.mean(1)
        weight = valid.to(values.dtype)[..., None]
        return (values * weight).sum(1) / weight.sum(1).clamp_min(1)
    weight = torch.ones_like(values[:, :1]) if valid is None else valid.to(values.dtype)[:, None]
    total = values.new_zeros(count, values.shape[1]).index_add_(0, sample, values * weight)
    return total / values.new_zeros(count, 1).index_add_(0, sample, weight).clamp_min(1)


def to_dense(values: Tensor, sample: Tensor, count: int, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Packed ``(sum N, D)`` -> dense ``(count, longest, D)``, its bool mask ``(count, longest)`` and the flat place
    ``(sum N)`` of every row, with which ``dense.flatten(0, 1)[place]`` packs again."""
    sizes = torch.zeros(count, dtype=torch.long, device=sample.device).index_add_(0, sample, torch.ones_like(sample))
    starts = sizes.cumsum(0) - sizes
    place = sample * longest + torch.arange(len(sample), device=sample.device) - starts[sample]
    dense = values.new_zeros(count * longest, values.shape[-1]).index_copy(0, place, values)
    mask = torch.arange(longest, device=sample.device) < sizes[:, None]
    return dense.view(count, longest, -1), mask, place
