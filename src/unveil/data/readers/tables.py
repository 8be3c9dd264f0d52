"""Tables whose rows follow one another in time: CSV, also under gzip, and Parquet; one file, or a folder of them, nested or not.

A record is a run of rows of one file, subject, recording and label without a gap in time, so that no window crosses any of these.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from unveil.data.labels import numeric
from unveil.data.options import Options
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable
from unveil.data.runs import Table, read_table
from unveil.errors import Unusable

NAME = "tables"
KINDS = ("signal",)
ENDINGS = {".csv", ".gz", ".parquet"}


@dataclass
class Run:
    """What becomes a record: values ``(C, T)``, or why there are none."""

    name: str
    file: str
    held: np.ndarray | Unreadable
    label: str = ""
    group: str = ""
    target: str = ""


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names alone."""
    if path.is_file():
        return f"a {_sort(str(path))} file" if _sort(str(path)) else None
    return f"a folder of {_sort(first)} files" if (first := next(filter(_sort, walk(path, ENDINGS)), None)) else None


def _sort(file: str) -> str:
    """CSV or Parquet; empty where the name is of neither."""
    name = file.lower()
    return "Parquet" if name.endswith(".parquet") else "CSV" if name.endswith((".csv", ".csv.gz")) else ""


def read(path: Path, options: Options) -> Records:
    """Records of one CSV file or of all below a folder. A file that cannot be used is one record that says why.

    Raises:
        Unusable: where no file can be used, or there are no folders to take labels from.
    """
    beside = [file.resolve() for file in (options.label_file, options.target_file) if file]
    files = [str(path)] if path.is_file() else [file for file in filter(_sort, walk(path, ENDINGS)) if Path(file).resolve() not in beside]
    tables: dict[str, Table | Unreadable] = {}
    for file in files:
        try:
            tables[file] = read_table(file, options)
        except Unreadable as why:
            tables[file] = why
    good = {file: table for file, table in tables.items() if isinstance(table, Table)}
    channels, rate = _channels(good.values()), _usual([table.rate for table in good.values() if table.rate])
    runs = [run for file, table in tables.items() for run in _runs(file, table, channels, rate)]
    if all(isinstance(run.held, Unreadable) for run in runs):
        first = f"; {runs[0].file}: {runs[0].held}" if runs else ""
        raise Unusable(f"none of the {len(files)} {_sort(files[0])} files in {path} can be used{first}")

    def load(i: int) -> np.ndarray:
        if isinstance(runs[i].held, Unreadable):
            raise runs[i].held
        return runs[i].held

    labels = _folders(path, runs) if options.labels == "folders" else np.array([run.label for run in runs])
    names, targets = [run.name for run in runs], [run.target for run in runs]
    groups = np.array([run.file if options.groups == "files" else run.group for run in runs])
    groups = _folders(path, runs, "groups") if options.groups == "folders" else groups
    return Records(names, load, layout="ct", labels=labels if any(labels) else None, rate=rate,
                   targets=numeric(targets, names, options.targets) if any(targets) else None,
                   groups=groups if len(set(groups)) > 1 else None, channels=channels, notes=_notes(good, channels, path))


def _channels(tables: Collection[Table]) -> list[str]:
    """The columns of numbers that most files share, in the order of the first that has them all."""
    held = [[name for name in table.held.numbers if name not in table.held.empty] for table in tables]
    most = Counter(frozenset(names) for names in held if names).most_common(1)
    return next((names for names in held if names and set(names) == most[0][0]), [])


def _usual(rates: list[float]) -> float | None:
    return sorted(rates)[len(rates) // 2] if rates else None


def _runs(file: str, table: Table | Unreadable, channels: list[str], rate: float | None) -> Iterator[Run]:
    """The records of a file; one with the reason where it cannot be used beside the others."""
    why = table if isinstance(table, Unreadable) else _misfit(table, channels, rate)
    if why:
        yield Run(file, file, why, group=file)
        return
    values = np.stack([table.held.numbers[name][table.order] for name in channels])
    lines, edges = table.held.lines[table.order], table.edges
    for i, (start, stop) in enumerate(pairwise(edges)):
        part = table.word(table.recording, i)
        yield Run(f"{file} lines {lines[start]}-{lines[stop - 1]}" if len(edges) > 2 else file, file, values[:, start:stop],
                  table.word(table.label, i), table.word(table.group, i) or (f"{file} {part}" if part else file),
                  table.word(table.target, i))


def _misfit(table: Table, channels: list[str], rate: float | None) -> Unreadable | None:
    """Why a file does not go with the others."""
    if not channels:
        texts = (f"column {name!r} holds text ({place})" for name, place in table.held.texts.items())
        return Unreadable("; ".join(["has no column of numbers", *texts]))
    lacking = next((name for name in channels if name not in table.held.numbers), None)
    if lacking in table.held.texts:
        return Unreadable(f"column {lacking!r} holds text ({table.held.texts[lacking]}), but numbers in most files")
    if lacking:
        return Unreadable(f"has no column {lacking!r}, which most files have")
    if table.rate and abs(table.rate / rate - 1) > 0.05:
        return Unreadable(f"has {table.rate:.4g} rows a second, most files have {rate:.4g}; keep it in a folder of its own")
    return None


def _folders(path: Path, runs: list[Run], what: str = "labels") -> np.ndarray:
    """The first folder below ``path`` that each run lies in, as its label or group."""
    parts = [os.path.relpath(run.file, path).split(os.sep) for run in runs]
    if all(len(part) == 1 for part in parts):
        raise Unusable(f"{path} has no sub-folders to take {what} from: leave out --{what} folders")
    return np.array([part[0] if len(part) > 1 else "" for part in parts])


def _notes(tables: Mapping[str, Table], channels: list[str], path: Path) -> list[str]:
    """A sentence for each file whose time is not even, and for each column that is no channel."""
    short = {file: os.path.relpath(file, path.parent if path.is_file() else path) for file in tables}
    notes = [f"{short[file]}: {table.note}" for file, table in tables.items() if table.note]
    bare = [short[file] for file, table in tables.items() if table.held.time is None]
    if bare:
        more = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
        notes.append(f"no time column in {bare[0]}{more}: rows are taken as evenly spaced, without gaps")
    why: dict[str, str] = {}
    for file, table in tables.items():
        seen = {name: f"holds text ({place})" for name, place in table.held.texts.items()}
        seen |= {name: "is empty" for name in table.held.empty}
        seen |= {name: "has the name of a label, subject, time or row number, or differs in most rows" for name in table.idle}
        seen |= {name: "is not in most files" for name in table.held.numbers.keys() - seen.keys()}
        for name in seen.keys() - set(channels):
            why.setdefault(name, f"{short[file]}: column {name!r} {seen[name]}: it is no channel")
    return notes + sorted(why.values())
