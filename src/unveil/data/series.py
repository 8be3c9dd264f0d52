"""Series: one recording with its own channels, rate and length, read in stretches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unveil.data.annotations import Annotations


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
        origin: the file that it is read from; None where it has none of its own, and then nothing of it is kept between runs.
        notes: what a person should know of it, such as a unit that was taken on trust.
        annotations: stretches of it with a word each; None where nobody asked for them.
    """

    read: Callable[[int, int], np.ndarray]
    length: int
    channels: list[str]
    rate: float | None = None
    units: list[str] | None = None
    places: np.ndarray | None = None
    origin: str | None = None
    notes: Sequence[str] = ()
    annotations: Annotations | None = None


def of_array(values: np.ndarray, channels: Sequence[str] | None = None, rate: float | None = None,
             places: np.ndarray | None = None) -> Series:
    """A series of ``values (C, T)`` float32 in memory; channels without names are numbered from 1."""
    names = list(channels) if channels is not None and len(channels) == len(values) else [str(i + 1) for i in range(len(values))]
    return Series(lambda start, stop: values[:, start:stop], values.shape[1], names, rate, places=places)
