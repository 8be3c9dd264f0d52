"""Series: one recording with its own channels, rate and length, read in stretches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Series:
    """A recording that need not be held in memory.

    Attributes:
        read: first and last value (not included) -> ``(C, n)`` float32, NaN where a value is missing; raises
            :class:`unveil.data.records.Unreadable` where it cannot.
        length: values in time.
        channels: name of each channel.
        rate: values a second; None where unknown.
        units: of each channel as the source says, ``""`` where it does not; None where it says nothing.
        places: ``(C, 3)`` of the electrodes in head radii (right, front, up), NaN where unknown; None where nothing is known.
    """

    read: Callable[[int, int], np.ndarray]
    length: int
    channels: list[str]
    rate: float | None = None
    units: list[str] | None = None
    places: np.ndarray | None = None
