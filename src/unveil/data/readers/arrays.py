"""NumPy arrays: ``.npy``, ``.npz``, or arrays in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unveil.data.options import Options
from unveil.data.records import Records
from unveil.errors import Unusable

NAME = "arrays"
KINDS = ("image", "signal")
VALUES = ("x", "values", "data", "arr_0", "images", "signals", "features")
LABELS = ("y", "labels", "label", "target", "targets")
GROUPS = ("groups", "group", "subject", "subjects", "patient")


def detect(path: Path) -> str | None:
    if path.suffix == ".npy" and path.is_file():
        array = load(path)
        return f"an array of {'x'.join(map(str, array.shape))} {array.dtype}"
    if path.suffix == ".npz" and path.is_file():
        held = load(path)
        return "arrays " + ", ".join(f"{name} {'x'.join(map(str, held[name].shape))}" for name in held.files)
    return None


def load(path: Path):
    """An array or archive of arrays, without pickles; an ``.npy`` is mapped, not read."""
    try:
        return np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix == ".npy" else None)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as why:
        pickled = "it holds Python objects, which are never loaded: save plain number arrays" if "pickle" in str(why) else str(why)
        raise Unusable(f"cannot read {path}: {pickled}") from why


def read(path: Path, options: Options) -> Records:
    held = load(path)
    try:
        return from_arrays(held if isinstance(held, np.ndarray) else {name: held[name] for name in held.files}, options, str(path))
    except (ValueError, zipfile.BadZipFile) as why:
        raise Unusable(f"cannot read {path}: {why}") from why


def from_arrays(held: np.ndarray | Mapping[str, np.ndarray], options: Options, source: str = "the array") -> Records:
    """Records of an array whose first axis counts samples, or of a table that also holds labels and groups by name."""
    held = held if isinstance(held, Mapping) else {"x": held}
    lower = {name.lower(): np.asarray(value) for name, value in held.items()}
    values = _first(lower, VALUES)
    if values is None:
        raise Unusable(f"{source} holds {', '.join(held)}; none is called {', '.join(VALUES)}: rename the one with the samples")
    if values.ndim < 2 or values.dtype.kind not in "uif" or not len(values):
        raise Unusable(f"{source} is {values.dtype} of {'x'.join(map(str, values.shape))}; samples must be numbers along the first axis")
    columns = {}
    for name, known in (("labels", LABELS), ("groups", GROUPS)):
        column = _first(lower, known)
        if column is not None and len(column) != len(values):
            raise Unusable(f"{source} has {len(values)} samples but {len(column)} {name}")
        columns[name] = None if column is None else column.astype(str)
    rate = float(lower["rate"]) if "rate" in lower else options.rate
    return Records([f"{source}[{i}]" for i in range(len(values))], lambda i: np.asarray(values[i]), layout=options.layout,
                   rate=rate, array=values, **columns)


def _first(held: Mapping[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((held[name] for name in names if name in held), None)
