"""Labels and targets that come beside the data."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unveil.data.columns import number
from unveil.data.options import Options
from unveil.data.samples import Samples, encode_labels
from unveil.errors import Unusable, nearest

MANY = 20  # different numbers, from which labels are more likely measured than counted


def attach(samples: Samples, options: Options) -> None:
    """What the user's files say of the samples, and the name of the targets.

    Raises:
        Unusable: where a file cannot be read or does not fit the samples, or the targets that were named are not there.
    """
    if options.label_file:
        attach_labels(samples, options.label_file)
    if options.descriptions:
        attach_descriptions(samples, Path(options.descriptions))
    if options.target_file:
        attach_targets(samples, options.target_file)
    elif options.targets:
        if samples.targets is None:
            raise Unusable(f"the data have no column {options.targets!r} with numbers to predict: give --targets COLUMN or "
                           "--targets FILE.csv")
        samples.target = options.targets
    if samples.targets is None and _measured(samples):
        samples.notes.append(f"the labels are {len(samples.classes)} different numbers, taken as classes: where they measure something, "
                             f"give them as --targets {options.labels or 'COLUMN'} in place of --labels")


def attach_labels(samples: Samples, path: Path) -> None:
    """Labels from a CSV file with one line a sample: its name and its label, or the label alone in order. A header is skipped.

    Raises:
        Unusable: where the file cannot be read or does not fit the samples.
    """
    samples.labels, samples.classes = encode_labels(np.array(_beside(samples, path, "labels")[0]))


def attach_targets(samples: Samples, path: Path) -> None:
    """Numbers to predict from a CSV file as :func:`attach_labels` reads it; an empty cell is a missing number.

    Raises:
        Unusable: where the file cannot be read, does not fit the samples, or holds anything but numbers.
    """
    found, header = _beside(samples, path, "targets")
    samples.targets = numeric(found, [samples.name(int(i)) for i in samples.index], str(path))
    samples.target = header or path.stem


def attach_descriptions(samples: Samples, path: Path) -> None:
    """What each class is, from a CSV file with a line a class: its name and a sentence. A header is skipped.

    Raises:
        Unusable: where the file cannot be read, or a class of the samples has no sentence.
    """
    if samples.labels is None:
        raise Unusable(f"{path} says what classes are, and the data have none: give --labels too")
    lines = _lines(path, "descriptions")
    found = {line[0].strip(): line[-1].strip() for line in lines if len(line) > 1}
    if missing := [name for name in samples.classes if not found.get(name)]:
        raise Unusable(f"{path} has no sentence for the class {missing[0]!r}: give a line a class with its name, a comma, and a sentence, "
                       f"in double quotes where it has a comma itself{nearest(missing[0], list(found))}")
    samples.described = {name: found[name] for name in samples.classes}


def numeric(cells: Sequence[str], names: Sequence[str], column: str) -> np.ndarray:
    """Numbers to predict, float64, NaN for cells that are empty or marked as missing.

    Args:
        cells: one a sample.
        names: of the samples.
        column: what the cells are called in a message.

    Raises:
        Unusable: at a cell that is no finite number, or where all are empty.
    """
    values = np.array([number(cell) for cell in cells], np.float64)
    wrong = np.flatnonzero(np.isinf(values))
    if len(wrong):
        raise Unusable(f"{names[wrong[0]]}: {column} is {cells[wrong[0]][:40]!r}, which is no finite number; correct it or leave it empty")
    if np.isnan(values).all():
        raise Unusable(f"{column} holds no numbers to predict: every cell is empty")
    return values


def _beside(samples: Samples, path: Path, what: str) -> tuple[list[str], str]:
    """The last cell of every sample's line in a CSV file, and its header, empty where there is none."""
    lines = _lines(path, what)
    names = [samples.name(i) for i in samples.index.tolist()]
    if lines and len(lines[0]) > 1:
        known = {line[0].strip(): line[-1].strip() for line in lines}
        found = [known.get(name, known.get(os.path.basename(name), "")) for name in names]
        if not any(found):
            raise Unusable(f"no name in {path} is the name of a sample; the first sample is {names[0]!r}")
        first = lines[0][0].strip()
        return found, "" if first in {*names, *map(os.path.basename, names)} else lines[0][-1].strip()
    header = len(lines) == samples.whole + 1
    found = [line[0].strip() for line in lines[header:]]
    if len(found) != samples.whole:
        raise Unusable(f"{path} has {len(found)} {what} for {samples.whole} samples")
    return [found[i] for i in samples.index.tolist()], lines[0][0].strip() if header else ""


def _lines(path: Path, what: str) -> list[list[str]]:
    """The cells of each line that has any.

    Raises:
        Unusable: where the file cannot be read.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            return [line for line in csv.reader(stream) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as why:
        raise Unusable(f"cannot read the {what} in {path}: {getattr(why, 'strerror', None) or 'it is no CSV in UTF-8'}") from why


def _measured(samples: Samples) -> bool:
    """Whether labels look like measurements: many numbers, which do not count classes from 0 or 1 without a gap."""
    if samples.labels is None or len(samples.classes) <= MANY or not np.isfinite([number(name) for name in samples.classes]).all():
        return False
    values = sorted(float(name) for name in samples.classes)
    return not any(values == list(range(first, first + len(values))) for first in (0, 1))
