"""NumPy arrays: ``.npy``, ``.npz``, or arrays in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unveil.data.labels import numeric
from unveil.data.options import Options
from unveil.data.records import Records
from unveil.errors import Unusable

NAME = "arrays"
KINDS = ("image", "signal")
VALUES = ("x", "values", "data", "arr_0", "images", "signals", "features")
LABELS = ("y", "labels", "label", "target", "targets")
DENSE = ("dense",)
GROUPS = ("groups", "group", "subject", "subjects", "patient")


def detect(path: Path) -> str | None:
    """What is seen at ``path``, reading no values."""
    if path.suffix == ".npy" and path.is_file():
        array = load(path)
        return f"an array of {'x'.join(map(str, array.shape))} {array.dtype}"
    if path.suffix == ".npz" and path.is_file():
        return "arrays " + ", ".join(getattr(load(path), "files", ["without names"]))
    return None


def load(path: Path):
    """An array or archive of arrays, without pickles; an ``.npy`` is mapped, not read."""
    try:
        return np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix == ".npy" else None)
    except Exception as why:  # a damaged header can raise anything
        raise _damaged(path, why) from why


def _damaged(path: Path, why: Exception) -> Unusable:
    objects = "pickle" in str(why) or "Python objects" in str(why)
    said = "it holds Python objects, which are never loaded: save plain number arrays" if objects else str(why) or type(why).__name__
    return Unusable(f"cannot read {path}: {said}")


def read(path: Path, options: Options) -> Records:
    """Records of an ``.npy``, or of the samples in an ``.npz``.

    Raises:
        Unusable: where it holds no samples, or is damaged.
    """
    held = load(path)
    try:
        named = held if isinstance(held, np.ndarray) else {name: held[name] for name in held.files}
    except Exception as why:  # as above
        raise _damaged(path, why) from why
    return from_arrays(named, options, str(path))


def from_arrays(held: np.ndarray | Mapping[str, np.ndarray], options: Options, source: str = "the array") -> Records:
    """Records of an array whose first axis counts samples, or of a table that also holds labels and groups by name."""
    held = held if isinstance(held, Mapping) else {"x": held}
    lower = {name.lower(): np.asarray(value) for name, value in held.items()}
    wanted = None if options.target_file else (options.targets or "").lower()
    target = lower.pop(wanted, None) if wanted else None
    if wanted and target is None:
        raise Unusable(f"{source} holds {', '.join(held)}; none is called {options.targets!r}, which --targets names")
    values = _first(lower, VALUES)
    if values is None:
        raise Unusable(f"{source} holds {', '.join(held)}; none is called {', '.join(VALUES)}: rename the one with the samples")
    if values.ndim and not len(values):
        raise Unusable(f"{source} is {'x'.join(map(str, values.shape))}: it holds no samples")
    if values.ndim < 2 or values.dtype.kind not in "uif":
        raise Unusable(f"{source} is {values.dtype} of {'x'.join(map(str, values.shape))}; samples must be numbers along the first axis")
    columns = {}
    for name, known in (("labels", LABELS), ("groups", GROUPS)):
        column = _first(lower, known)
        if column is not None and len(column) != len(values):
            raise Unusable(f"{source} has {len(values)} samples but {len(column)} {name}")
        columns[name] = None if column is None else column.astype(str)
    names = [f"{source}[{i}]" for i in range(len(values))]
    if target is not None:
        if target.shape != (len(values),):
            raise Unusable(f"{source} has {len(values)} samples, but {options.targets} is {'x'.join(map(str, target.shape))}; "
                           "targets are one number a sample")
        columns["targets"] = numeric(target.astype(str).tolist(), names, options.targets)
    columns["dense"] = _dense(_first(lower, DENSE), values, source)
    if "rate" in lower and (lower["rate"].size != 1 or lower["rate"].dtype.kind not in "uif"):
        raise Unusable(f"rate in {source} must be one number: samples a second")
    rate = float(lower["rate"].item()) if "rate" in lower else options.rate
    return Records(names, lambda i: np.asarray(values[i]), layout=options.layout, rate=rate, array=values, **columns)


def _dense(labels: np.ndarray | None, values: np.ndarray, source: str) -> np.ndarray | None:
    """Labels of places as the kinds want them."""
    if labels is None:
        return None
    shape = "x".join(map(str, labels.shape))
    if labels.dtype.kind not in "ui" or labels.shape[:1] != values.shape[:1] or labels.ndim < 2:
        raise Unusable(f"dense in {source} is {labels.dtype} of {shape}; it must hold one class number, an integer, for every place of "
                       f"the {len(values)} samples")
    return labels


def _first(held: Mapping[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((held[name] for name in names if name in held), None)
