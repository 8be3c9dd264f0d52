"""What a user may tell a reader about the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unveil.errors import Unusable


@dataclass(frozen=True)
class Options:
    """Facts that a source does not state itself.

    Attributes:
        kind: name of the kind; None detects it.
        labels: ``"folders"``, ``"annotations"`` of recordings, the name of a column, or a CSV file of names and labels; None uses
            what the source names so.
        targets: name of a column of numbers to predict, or a CSV file of names and numbers.
        groups: column of subjects or recordings, ``"files"`` or ``"folders"``; ``"windows"`` keeps nothing apart; of graphs
            also ``"degree"``, bins of their mean degree.
        time: column of time stamps.
        rate: samples a second.
        layout: axes of one sample in an array: of ``"hw", "hwc", "chw", "t", "ct", "tc"``.
        descriptions: CSV file of classes and, of each, a sentence that says what it is, for tasks that read texts.
    """

    kind: str | None = None
    labels: str | None = None
    targets: str | None = None
    groups: str | None = None
    time: str | None = None
    rate: float | None = None
    layout: str | None = None
    descriptions: str | None = None

    def __post_init__(self):
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise Unusable(f"the rate is {self.rate}; it must be a number of samples a second, above 0")

    @property
    def windows(self) -> bool:
        """Whether single windows are to be held out, with others of their recording on the other side."""
        return self.groups == "windows"

    @property
    def made(self) -> bool:
        """Whether the groups are what the kind makes of its samples, so that a reader looks for no column and makes none."""
        return (self.kind, self.groups) == ("graph", "degree")

    @property
    def label_file(self) -> Path | None:
        return Path(self.labels) if self.labels and self.labels.endswith(".csv") else None

    @property
    def target_file(self) -> Path | None:
        return Path(self.targets) if self.targets and self.targets.endswith(".csv") else None
