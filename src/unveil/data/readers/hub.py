"""Hugging Face data sets: a folder written by ``save_to_disk``, ``hf:NAME`` or ``hf:NAME:CONFIGURATION``.

Code that a data set brings is never run: that is the default of every version of ``datasets`` that is admitted.
"""

from __future__ import annotations

import difflib
import io
import json
import os
from bisect import bisect_right
from collections.abc import Mapping, Set
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from unveil.data import hub_graphs
from unveil.data.labels import numeric
from unveil.data.options import Options
from unveil.data.readers.pictures import decode
from unveil.data.records import Records, Unreadable
from unveil.data.runs import GROUPS, LABELS, plain
from unveil.errors import Unusable

NAME = "hub"
KINDS = ("image", "signal", "graph", "atoms")
PICTURES = ("image", "img", "picture")
SERIES = ("signal", "signals", "series", "values", "x")
LISTS = {"Array2D", "List", "LargeList", "Sequence", "list"}


def detect(path: Path | str) -> str | None:
    """What is seen at ``path``, looking at names alone."""
    if str(path).startswith("hf:"):
        return "a data set of the Hugging Face hub"
    held = [(Path(path) / name).is_file() for name in ("dataset_dict.json", "state.json", "dataset_info.json")]
    return "a saved Hugging Face data set" if held[0] or (held[1] and held[2]) else None


def kinds(path: Path | str) -> tuple[str, ...]:
    """The kinds of its column of values."""
    rows = next(iter(_splits(path).values()))
    if hub_graphs.holds(rows.features):
        return ("graph", "atoms") if hub_graphs.smiles(rows.features) else ("graph",)
    return ("image",) if _is_picture(rows.features[_column(rows.features, path)]) else ("signal",)


def usual(path: Path | str) -> str | None:
    """The kind where none is said, as of molecules anywhere."""
    return "graph" if hub_graphs.holds(next(iter(_splits(path).values())).features) else None


def read(path: Path | str, options: Options) -> Records:
    """Records of all splits, read when asked for; the one called test is held out.

    Raises:
        Unusable: where it cannot be opened, or has no column of values or none that the options name.
    """
    splits = _splits(path)
    features = next(iter(splits.values())).features
    if hub_graphs.holds(features):
        _validate(splits, set(features), path)
        return hub_graphs.read(splits, options, str(path), _words)
    column = _column(features, path)
    label, group = _named(features, options.labels, LABELS, path), _named(features, options.groups, GROUPS, path)
    if label is None and not options.labels:
        label = next((name for name, feature in features.items() if type(feature).__name__ == "ClassLabel"), None)
    target = _named(features, options.targets, (), path) if options.targets else None
    label = None if label == target else label
    _validate(splits, {name for name in (column, label, group, target) if name}, path)
    labels = np.array([word for rows in splits.values() for word in _words(rows, label)])
    targets = [word for rows in splits.values() for word in _words(rows, target)]
    groups = np.array([word for rows in splits.values() for word in _words(rows, group)])
    of = np.repeat(list(splits), [len(rows) for rows in splits.values()])
    notes, test = [], of == "test"
    if len(splits) > 1:
        notes.append("splits: " + ", ".join(f"{name} {len(rows)}" for name, rows in splits.items()))
    if test.any() and any(labels[~test]) and not any(labels[test]):
        notes.append("the split test has no labels, so it is not held out to score on")
        test &= False
    names = [f"{path} {name}[{i}]" for name, rows in splits.items() for i in range(len(rows))]
    layout = "hwc" if _is_picture(features[column]) else options.layout
    load = _loader(splits, column, features)
    return Records(names, load, layout=layout, smaller=load, rate=options.rate, notes=notes,
                   targets=numeric(targets, names, options.targets) if any(targets) else None,
                   labels=labels if any(labels) else None, groups=groups if any(groups) else None,
                   test=test if test.any() else None)


def _splits(path: Path | str) -> dict[str, Any]:
    """The rows of each split, mapped from disk."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import datasets
    except ImportError as why:
        raise Unusable(f"reading {path} needs the package datasets: pip install 'unveil[hub]'") from why
    try:
        if str(path).startswith("hf:"):
            name, _, configuration = str(path)[3:].partition(":")
            held = datasets.load_dataset(name, configuration or None)
        else:
            held = datasets.load_from_disk(str(path))
    except Exception as why:  # anything from the network to a damaged file
        raise Unusable(f"cannot open {path}: {_reason(path, why)}") from why
    splits = {name: rows for name, rows in held.items() if len(rows)} if isinstance(held, Mapping) else {"rows": held}
    if not any(len(rows) for rows in splits.values()):
        raise Unusable(f"{path} has no rows")
    first = next(iter(splits.values())).features
    column = hub_graphs.holds(first) or _column(first, path)
    return {name: rows for name, rows in splits.items() if column in rows.features}


def _reason(path: Path | str, why: Exception) -> str:
    """Why a data set cannot be opened: the hub's own words, or which file of a folder is at fault."""
    if str(path).startswith("hf:"):
        return str(why).strip() or type(why).__name__
    if isinstance(why, FileNotFoundError):
        return "one of its files is missing: save it again"
    for file in sorted(Path(path).rglob("*.json")):
        try:
            sound = isinstance(json.loads(file.read_text()), dict)
        except (OSError, ValueError, RecursionError):
            sound = False
        if not sound:
            return f"{file.relative_to(path)} is damaged: save it again"
    return "its files are damaged, or do not go together: save it again"


def _validate(splits: Mapping[str, Any], columns: Set[str], path: Path | str) -> None:
    """Looks through what says where values lie, and at text, in the columns that are read: where it lies, a damaged file would be read
    beyond its end.

    Raises:
        Unusable: where a split is damaged.
    """
    for name, rows in splits.items():
        try:
            for column in columns & set(rows.column_names):
                rows.data.column(column).validate(full=True)
        except Exception as why:  # as above
            raise Unusable(f"the split {name} of {path} is damaged: save it again") from why


def _is_picture(feature) -> bool:
    return type(feature).__name__ == "Image"


def _column(features: Mapping[str, Any], path: Path | str) -> str:
    """The column of values: pictures before series."""
    pictures = [name for name, feature in features.items() if _is_picture(feature)]
    series = [name for name in features if name.lower() in SERIES and type(features[name]).__name__ in LISTS]
    if not pictures + series:
        seen = ", ".join(f"{name} ({type(feature).__name__})" for name, feature in features.items())
        raise Unusable(f"{path} has the columns {seen}; needed is one of pictures (Image), or one called {', '.join(SERIES)} "
                       "that holds lists of numbers, or one called smiles, or edge_index beside node_feat or num_nodes")
    return next((name for name in pictures if name.lower() in PICTURES), [*pictures, *series][0])


def _named(features: Mapping[str, Any], wanted: str | None, known: tuple[str, ...], path: Path | str) -> str | None:
    """The column that the user named, else the first of single values that is known by its name."""
    if wanted in ("folders", "files"):
        raise Unusable(f"{path} has no {wanted} to go by; name one of its columns: {', '.join(features)}")
    if wanted and wanted.endswith(".csv"):
        return None
    if wanted and wanted not in features:
        close = difflib.get_close_matches(wanted, features, 1)
        hint = f"did you mean {close[0]!r}" if close else f"its columns are {', '.join(features)}"
        raise Unusable(f"{path} has no column {wanted!r}; {hint}")
    held = {plain(name): name for name, feature in features.items() if type(feature).__name__ in ("Value", "ClassLabel")}
    return wanted or next((held[name] for name in known if name in held), None)


def _words(rows, column: str | None) -> list[str]:
    """What a column says of each row, classes by their names; empty where it says nothing."""
    if column not in rows.features:
        return [""] * len(rows)
    names = getattr(rows.features[column], "names", None)
    held = rows[column][:]
    if names is None:
        return ["" if value is None else str(value) for value in held]
    return [names[value] if value is not None and 0 <= value < len(names) else "" for value in held]


def _loader(splits: Mapping[str, Any], column: str, features: Mapping[str, Any]):
    """Reads one row of the splits as they follow one another."""
    picture = _is_picture(features[column])
    raw = type(features[column])(decode=False) if picture else None
    alone = [rows.select_columns([column]) for rows in splits.values()]
    parts = [rows.cast_column(column, raw) if picture else rows.with_format("numpy") for rows in alone]
    starts = [0, *accumulate(map(len, parts))]

    def load(i: int, side: int | None = None) -> np.ndarray:
        part = bisect_right(starts, i) - 1
        try:
            value = parts[part][i - starts[part]][column]
        except Exception as why:  # a damaged file can raise anything
            raise Unreadable("is damaged, or not of the type that its column says") from why
        return _picture(value, side) if picture else _series(value)
    return load


def _picture(value: Mapping[str, Any] | None, side: int | None) -> np.ndarray:
    if value is None or (value["bytes"] is None and value["path"] is None):
        raise Unreadable("has no picture")
    return decode(value["path"] if value["bytes"] is None else io.BytesIO(value["bytes"]), side)


def _series(value) -> np.ndarray:
    values = np.asarray(value)
    if values.dtype.kind not in "uif":
        raise Unreadable("is no list of numbers, or its channels differ in length")
    return values
