"""NumPy arrays: ``.npy``, ``.npz``, or arrays in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unveil.data import machine, npy
from unveil.data.labels import numeric
from unveil.data.options import Options
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable

NAME = "arrays"
KINDS = ("image", "signal")
VALUES = ("x", "values", "data", "arr_0", "images", "signals", "features")
LABELS = ("y", "labels", "label", "target", "targets")
DENSE = ("dense",)
GROUPS = ("groups", "group", "subject", "subjects", "patient")


def detect(path: Path) -> str | None:
    """What is seen at ``path``, reading no values."""
    if path.suffix not in (".npy", ".npz") or not path.is_file():
        return None
    held = load(path)
    if isinstance(held, np.ndarray):
        return f"an array of {'x'.join(map(str, held.shape))} {held.dtype}"
    return f"arrays {', '.join(held.files)}"


def load(path: Path) -> np.ndarray | np.lib.npyio.NpzFile:
    """An array or archive of arrays, without pickles; an ``.npy`` is mapped, not read.

    Raises:
        Unusable: where it is damaged, or would unpack to more than memory holds.
    """
    try:
        with open(path, "rb") as stream:
            single = stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX
            stream.seek(0)
            if single:
                npy.check(stream, path.stat().st_size)
        held = np.load(path, allow_pickle=False, mmap_mode="r" if single else None)
    except Unreadable as why:
        raise Unusable(f"cannot read {path}: it {why}") from why
    except OSError as why:
        raise Unusable(f"cannot read {path}: {why.strerror or 'it is damaged'}") from why
    except Exception as why:  # a damaged archive can raise anything
        raise Unusable(f"cannot read {path}: it is damaged, or no NumPy file") from why
    if not single:
        _refuse_bomb(path, sum(member.file_size for member in held.zip.infolist()))
    return held


def _refuse_bomb(path: Path, size: int) -> None:
    """An archive is unpacked as a whole, so what it says of its size must fit."""
    if size > machine.memory_limit():
        raise Unusable(f"cannot read {path}: it says that it unpacks to {size / 2**30:.1f} GiB, and this process may use "
                       f"{machine.memory_limit() / 2**30:.1f} GiB. Save it as .npy, which is read in place, or as several files")


def _unpacked(path: Path, held: np.lib.npyio.NpzFile) -> dict[str, np.ndarray]:
    """The arrays of an archive; members that are none are left out.

    Raises:
        Unusable: with the name of the member that is damaged.
    """
    found = {}
    for member in held.zip.infolist():
        name = member.filename
        try:
            with held.zip.open(name) as stream:
                if stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                    stream.seek(0)
                    found[name.removesuffix(".npy")] = npy.load(stream, member.file_size)
        except Unreadable as why:
            raise Unusable(f"cannot read {path}: its array {name.removesuffix('.npy')!r} {why}") from why
        except Exception as why:  # as in load
            raise Unusable(f"cannot read {path}: its array {name.removesuffix('.npy')!r} is damaged") from why
    return found


def read(path: Path, options: Options) -> Records:
    """Records of an ``.npy``, or of the samples in an ``.npz``.

    Raises:
        Unusable: where it holds no samples, or is damaged.
    """
    held = load(path)
    return from_arrays(held if isinstance(held, np.ndarray) else _unpacked(path, held), options, str(path))


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
        columns[name] = None if column is None else _words(column, name, len(values), source)
    names = [f"{source}[{i}]" for i in range(len(values))]
    if target is not None:
        if target.shape != (len(values),):
            raise Unusable(f"{source} has {len(values)} samples, but {options.targets} is {'x'.join(map(str, target.shape))}; "
                           "targets are one number a sample")
        columns["targets"] = numeric(target.astype(str).tolist(), names, options.targets)
    columns["dense"] = _dense(_first(lower, DENSE), values, source)
    rate = _rate(lower["rate"], source) if "rate" in lower else options.rate
    return Records(names, lambda i: np.asarray(values[i]), layout=options.layout, rate=rate, array=values, **columns)


def _words(column: np.ndarray, what: str, count: int, source: str) -> np.ndarray:
    """Labels or groups as text."""
    if column.ndim and len(column) != count:
        raise Unusable(f"{source} has {count} samples but {len(column)} {what}")
    if column.ndim != 1 or column.dtype.kind not in "biufUSM":
        shape = "x".join(map(str, column.shape)) or "one value"
        raise Unusable(f"{what} in {source} are {column.dtype} of {shape}; they must be one word or number a sample")
    return np.char.decode(column, "utf-8", "backslashreplace") if column.dtype.kind == "S" else column.astype(str)


def _rate(value: np.ndarray, source: str) -> float:
    if value.size != 1 or value.dtype.kind not in "uif" or not 0 < float(value.item()) < np.inf:
        raise Unusable(f"rate in {source} must be one number above 0: samples a second")
    return float(value.item())


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
