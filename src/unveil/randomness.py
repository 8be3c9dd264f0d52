"""Counter-based random numbers: a number is a pure function of where it is used, never of what ran before.

A draw depends only on the key parts (seed, step, purpose), the call's place in the generator, the sample's own key and
the position in the result. So it is the same on every device, on any number of processes and after any resume.
The bits are SplitMix64 (Steele, Lea and Flood, 2014) of a counter, in 64-bit integers that wrap.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def _signed(word: int) -> int:
    """The two's complement value that a 64-bit tensor stores for ``word``."""
    word &= _WORD
    return word - (1 << 64) if word >> 63 else word


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift (``>>`` on int64 copies the sign)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """Int64 of which every bit depends on every bit of ``x``, one to one."""
    x = (x ^ _shift(x, 30)) * _signed(_FIRST)
    x = (x ^ _shift(x, 27)) * _signed(_SECOND)
    return x ^ _shift(x, 31)


def key(*parts: int | str) -> int:
    """One 64-bit key from integers and strings; any change of a part changes every bit with probability 1/2."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


class Generator:
    """A stream of draws keyed by where it is used.

    Args:
        *parts: what the stream is for, such as ``(seed, step, "masks")``.
        device: where results are made; the numbers do not depend on it.

    With ``keys`` (shape ``(B,)``, int64) a draw has shape ``(B, *shape)`` and row ``i`` depends on ``keys[i]`` alone, so a
    batch cut over processes draws what the whole batch would. Without, all processes draw the same.
    """

    def __init__(self, *parts: int | str, device: torch.device | str = "cpu"):
        self.parts, self.device, self.calls = parts, torch.device(device), 0

    def _words(self, shape: tuple[int, ...], keys: Tensor | None) -> Tensor:
        start = key(*self.parts, self.calls)
        self.calls += 1
        count = torch.arange(1, math.prod(shape) + 1, device=self.device) * _signed(_GOLDEN)
        if keys is None:
            return mix(count + _signed(start)).view(shape)
        rows = mix(keys.to(self.device) * _signed(_GOLDEN) + _signed(start))
        return mix(rows[:, None] + count).view(len(keys), *shape)

    def uniform(self, *shape: int, keys: Tensor | None = None, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Float32 in ``[low, high)`` with 24 random bits."""
        unit = _shift(self._words(shape, keys), 40).float() * 2.0**-24
        return unit * (high - low) + low

    def normal(self, *shape: int, keys: Tensor | None = None) -> Tensor:
        """Standard normal float32, by Box and Muller."""
        words = self._words(shape, keys)
        radius = (-2.0 * ((_shift(words, 40).float() + 1.0) * 2.0**-24).log()).sqrt()
        return radius * ((words & 0xFFFFFF).float() * (2.0 * math.pi * 2.0**-24)).cos()

    def integers(self, low: int, high: int, *shape: int, keys: Tensor | None = None) -> Tensor:
        """Int64 in ``[low, high)``."""
        return low + (self.uniform(*shape, keys=keys) * (high - low)).long().clamp_(max=high - low - 1)

    def permutation(self, n: int, keys: Tensor | None = None) -> Tensor:
        """Random order of ``range(n)``, one a row where there are ``keys``."""
        return self._words((n,), keys).argsort(dim=-1, stable=True)

    def number(self) -> float:
        """One uniform number as a Python float, made without touching the device."""
        start = key(*self.parts, self.calls)
        self.calls += 1
        return (start >> 11) * 2.0**-53
