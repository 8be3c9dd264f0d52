"""Labels that come beside the data."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from unveil.data.samples import Samples, encode_labels
from unveil.errors import Unusable


def attach_labels(samples: Samples, path: Path) -> None:
    """Labels from a CSV file with one line a sample: its name and its label, or the label alone in order. A header is skipped.

    Raises:
        Unusable: where the file cannot be read or does not fit the samples.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            lines = [line for line in csv.reader(stream) if line]
    except (OSError, UnicodeDecodeError) as why:
        raise Unusable(f"cannot read the labels in {path}: {why}") from why
    names = [samples.name(int(i)) for i in samples.index]
    if lines and len(lines[0]) > 1:
        known = {line[0].strip(): line[-1].strip() for line in lines}
        found = [known.get(name, known.get(Path(name).name, "")) for name in names]
        if not any(found):
            raise Unusable(f"no name in {path} is the name of a sample; the first sample is {names[0]!r}")
    else:
        found = [line[0].strip() for line in (lines[1:] if len(lines) == samples.whole + 1 else lines)]
        if len(found) != samples.whole:
            raise Unusable(f"{path} has {len(found)} labels for {samples.whole} samples")
        found = [found[i] for i in samples.index.tolist()]
    samples.labels, samples.classes = encode_labels(np.array(found))
