"""How movement elements lie in a batch: what the kind writes and an encoder reads."""

from __future__ import annotations

from torch import Tensor

POINTS = 32  # of a waveform


def taken_apart(elements: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows ``(..., 35)`` as waveforms ``(..., 32)`` in g, centres in shares of the window, numbers of axes, -1 in rows that fill up, and
    lengths in values, ends included, plus one: ``(...)`` each, the axes int64."""
    centre, axis, length = elements[..., POINTS:].unbind(-1)
    return elements[..., :POINTS], centre, axis.long(), length
