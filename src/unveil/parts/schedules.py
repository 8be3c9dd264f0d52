"""Values that change over a run, as functions of progress in [0, 1]."""

from __future__ import annotations

import math


def linear(start: float, end: float, progress: float) -> float:
    """From ``start`` to ``end`` in a straight line."""
    return start + (end - start) * progress


def cosine(start: float, end: float, progress: float) -> float:
    """From ``start`` to ``end`` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def warmup_cosine(progress: float, warmup: float, start: float = 0.0, floor: float = 0.0) -> float:
    """Factor on the peak: linear from ``start`` to 1 over the share ``warmup``, then a cosine to ``floor``."""
    if progress < warmup:
        return linear(start, 1.0, progress / warmup)
    return cosine(1.0, floor, (progress - warmup) / max(1 - warmup, 1e-12))
