"""Records out of several files whose samples have columns beside them: labels, numbers to predict, groups, and what a set holds out."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Protocol

import numpy as np

from unveil.data import cells
from unveil.data.labels import numeric
from unveil.data.options import Options
from unveil.data.packed import Structure
from unveil.data.records import Records
from unveil.data.runs import LABELS, plain
from unveil.errors import Unusable

TESTS = (("test", "train"), ("TEST", "TRAIN"), ("Test", "Train"))


class Source(Protocol):
    """A file of samples.

    Attributes:
        file: its path.
        words: cells by column, one a sample, as far as :func:`wanted` asked for them.
        columns: all that may be asked for.
        fault: why the file cannot be used; empty where it can.
    """

    file: str
    words: dict[str, list[str]]
    columns: list[str]
    fault: str

    def __len__(self) -> int: ...

    def name(self, i: int) -> str:
        """What to call a sample in a message."""


def wanted(options: Options) -> Callable[[str], bool]:
    """Whether a column may be read: it is named by the options, or holds labels by its name."""
    named = {options.labels, options.targets, options.groups} - {None}
    return lambda name: name in named or (options.labels is None and plain(name) in LABELS)


def tests(sources: Sequence[Source]) -> np.ndarray | None:
    """What lies in ``X.test.sdf`` or ``X_test.csv`` beside ``X.train.sdf``: held out by whoever made the set."""
    stems = [source.file.removesuffix(".gz").rpartition(".")[0] for source in sources]
    held = [any(stem.endswith(end) and stem.removesuffix(end) + start in stems for end, start in TESTS) for stem in stems]
    return np.repeat(held, [len(source) for source in sources]) if any(held) else None


def usable(sources: Sequence[Source], where: object, what: str) -> None:
    """Sees to it that something can be used.

    Raises:
        Unusable: where nothing can.
    """
    if all(source.fault for source in sources):
        first = f"; {sources[0].file}: {sources[0].fault}" if sources else ""
        raise Unusable(f"none of the {len(sources)} files of {what} in {where} can be used{first}")


def collect(sources: Sequence[Source], options: Options, where: str, load: Callable[[Source, int], Structure], *,
            groups: Callable[[], tuple[np.ndarray | None, list[str]]], test: np.ndarray | None = None,
            known: Callable[[Source, int], str] = lambda source, i: source.name(i)) -> Records:
    """Records of the samples of several files.

    Args:
        sources: the files.
        options: what the user says.
        where: what the files are called together.
        load: reads a sample of a file.
        groups: makes the groups where the user names neither ``files`` nor a column, and what is to be said of them.
        test: bool, what the source holds out itself.
        known: what to call a sample.

    Raises:
        Unusable: where the options name what is not there.
    """
    starts = [0, *accumulate(map(len, sources))]
    columns = list(dict.fromkeys(name for source in sources for name in source.columns))

    def words(column: str | None) -> list[str]:
        return [cell for source in sources for cell in source.words.get(column, [""] * len(source))]

    def read(i: int) -> Structure:
        part = bisect_right(starts, i) - 1
        return load(sources[part], i - starts[part])

    target = cells.role(columns, None if options.target_file else options.targets, (), where)
    label = None if options.labels == "folders" or options.label_file else cells.role(
        [name for name in columns if name != target], options.labels, LABELS, where)
    names = [known(source, i) for source in sources for i in range(len(source))]
    labels = _folders(where, sources) if options.labels == "folders" else np.array(words(label))
    if options.made:
        group, notes = None, []
    elif options.groups == "files":
        group, notes = np.array([source.file for source in sources for _ in range(len(source))]), []
    elif options.groups in columns:
        group, notes = np.array(words(options.groups)), []
    else:
        group, notes = groups()
    return Records(names, read, test=test, notes=notes, labels=labels if any(labels) else None, groups=group,
                   targets=numeric(words(target), names, target) if target else None)


def _folders(where: str, sources: Sequence[Source]) -> np.ndarray:
    """The first folder below ``where`` that each sample lies in, as its label."""
    parts = [os.path.relpath(source.file, where).split(os.sep) for source in sources]
    if all(len(part) == 1 for part in parts):
        raise Unusable(f"{where} has no sub-folders to take labels from: leave out --labels folders")
    return np.array([part[0] if len(part) > 1 else "" for part, source in zip(parts, sources, strict=True) for _ in range(len(source))])
