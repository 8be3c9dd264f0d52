"""Records: things that can be read one by one, before any kind has said what a sample is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from unveil.wording import sentence

if TYPE_CHECKING:
    from unveil.data.packed import Structure
    from unveil.data.series import Series


class Unreadable(Exception):
    """One record cannot be used; it is set aside and counted, and the run goes on."""

    def __init__(self, why: str):
        super().__init__(sentence(why))


def scaled(shape: Sequence[int], side: int) -> tuple[int, ...]:
    """A picture's height and width when its shorter side is brought to ``side`` pixels."""
    return tuple(max(side, round(whole * side / min(shape))) for whole in shape)


@dataclass
class Records:
    """A lazily read list of raw arrays, of :class:`unveil.data.packed.Structure` where rows hang together or have places, or of
    :class:`unveil.data.series.Series` where recordings have channels, rates and lengths of their own.

    Attributes:
        names: what to call each in a message, such as its path.
        load: reads one as an array; raises :class:`Unreadable` where it cannot.
        layout: axes of an array: ``"hwc"`` or ``"ct"``; ``"graph"`` or ``"atoms"`` of a structure; None where the source does not say.
        labels: class name of each, or None. ``""`` stands for an unlabelled record.
        targets: a number to predict of each, float64, NaN where it is missing; None where there are none.
        target: what the targets are called, with their unit, such as ``"energy (eV)"``; None where the user's own word for them will do.
        extensive: the targets grow with the rows of a record, as an energy does.
        dense: class number of every place of every record ``(n, *shape)``, integers below 0 where unlabelled; None where there are none.
        groups: subject, patient or recording of each, or None.
        rate: samples a second, for series.
        channels: names of channels, for series; of the features of a node, for graphs.
        array: all records at once where they lie in one array, so that a kind need not go through :attr:`load`.
        test: bool, which records the source's own split holds out; None where it has none.
        notes: sentences about the source that a person should see, such as where a recording has gaps.
        smaller: reads a picture as :attr:`load` does and, where its shorter side has more pixels than asked, may bring it to
            :func:`scaled`, which is cheaper while it is decoded; None where the source cannot.
        described: class -> a sentence that says what it is; empty where the source has none.
    """

    names: Sequence[str]
    load: Callable[[int], np.ndarray | Structure | Series]
    layout: str | None = None
    labels: np.ndarray | None = None
    targets: np.ndarray | None = None
    dense: np.ndarray | None = None
    groups: np.ndarray | None = None
    rate: float | None = None
    channels: list[str] | None = None
    array: np.ndarray | None = None
    test: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)
    smaller: Callable[[int, int], np.ndarray] | None = None
    target: str | None = None
    extensive: bool = False
    described: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)
