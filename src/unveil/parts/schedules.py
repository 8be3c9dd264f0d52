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


def recovered(start: float, progress: float, until: float = 0.25, gamma: float = 1.0, epochs: int | None = None) -> float:
    """Share of what is hidden that is shown again early in a run (gradual recovery, Liu et al. 2024, arXiv 2405.10642).

    ``start (1 - e / E)^gamma``, where e / E is how much of the share ``until`` of the run is done.

    Args:
        start: share at the start.
        progress: of the run.
        until: share of the run after which nothing is shown again.
        gamma: power of the decay.
        epochs: E, of the published code, where each epoch decays what the one before had left: ``start prod_{k = 1..e} (1 - k / E)^gamma``
            with whole epochs. None for the formula above.
    """
    done = min(progress / until, 1.0) if until > 0 else 1.0
    if epochs is None:
        return start * (1 - done) ** gamma
    return start * math.prod((1 - k / epochs) ** gamma for k in range(1, int(done * epochs + 1e-9) + 1))
