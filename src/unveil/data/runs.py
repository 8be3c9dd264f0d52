"""What the columns of a table are, and where its rows are one recording: same subject, same label, no gap in time."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import numpy as np

from unveil.data.columns import Columns, header, read_columns
from unveil.data.options import Options
from unveil.data.records import Unreadable

TIME = ("time", "timestamp", "timestamps", "t", "seconds", "datetime", "date", "header_timestamp")
LABELS = ("label", "labels", "activity", "annotation", "class", "target")
GROUPS = ("subject", "participant", "patient", "person", "user", "group", "id")
RECORDINGS = ("recording", "session", "trial", "run")
INDEX = ("", "index", "row", "unnamed: 0")
UNITS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@dataclass
class Table:
    """A file cut into runs.

    Attributes:
        held: its columns.
        order: its rows, those of one subject and recording together.
        edges: run ``i`` is ``order[edges[i]:edges[i + 1]]``.
        rate: rows a second; None where unknown.
        label, target, group, recording: columns; None where there is none.
        idle: columns left out for their names.
        note: what was seen in its time stamps; empty where they are even.
    """

    held: Columns
    order: np.ndarray
    edges: np.ndarray
    rate: float | None
    label: str | None
    target: str | None
    group: str | None
    recording: str | None
    idle: set[str]
    note: str

    def word(self, column: str | None, run: int) -> str:
        """What ``column`` says of a run; empty where there is no such column."""
        if column is None:
            return ""
        codes, words = self.held.words[column]
        return words[codes[self.order[self.edges[run]]]]


def read_table(file: str, options: Options) -> Table:
    """Reads and cuts a CSV file.

    Raises:
        Unreadable: where it is no table, lacks a column that the options name, or its time runs backwards.
    """
    names = header(file)
    elsewhere = options.labels == "folders" or options.label_file is not None
    wanted = {"label": None if elsewhere else options.labels, "group": None if options.groups in ("files", "folders") else options.groups,
              "recording": None}
    target = None if options.target_file or not options.targets else _column(names, options.targets, ())
    others = [name for name in names if name != target]
    time = _column(others, options.time, TIME)
    roles = {role: _column(others, wanted[role], known)
             for role, known in (("label", LABELS), ("group", GROUPS), ("recording", RECORDINGS))} | {"target": target}
    idle = {name for name in names if plain(name) in (*TIME, *LABELS, *GROUPS, *RECORDINGS, *INDEX)} - {time, *roles.values()}
    held = read_columns(file, time=time, words={name for name in roles.values() if name}, skip=idle)
    for role, name in roles.items():
        numbering = name and role != "target" and wanted[role] is None and len(held.words[name][1]) > max(10, len(held.lines) / 2)
        if numbering or (role == "label" and elsewhere):
            idle |= {name} - {None}
            roles[role] = None
    order, edges, rate, note = _cut(held, time, options.rate, **roles)
    return Table(held, order, edges, rate, **roles, idle=idle - {""}, note=note)


def plain(name: str) -> str:
    """A column's name without case, unit and the word id: ``Subject_ID`` is a subject, ``time (ms)`` is a time."""
    if len(name) > 100:
        return name  # no role is called so, and the search below takes the square of the length
    return re.sub(r"[\s_-]+[(\[]?(id|ms|us|µs|ns|sec|s)[)\]]?$", "", name.strip().lower())


def _column(names: list[str], wanted: str | None, known: tuple[str, ...]) -> str | None:
    """The column that the user named, else the first that is known by its name."""
    if wanted is None:
        held = {plain(name): name for name in reversed(names)}
        return next((held[name] for name in known if name in held), None)
    if wanted not in names:
        close = difflib.get_close_matches(wanted, names, 1)
        hint = f"did you mean {close[0]!r}" if close else f"its columns are {', '.join(names)}"
        raise Unreadable(f"has no column {wanted!r}; {hint}")
    return wanted


def _cut(held: Columns, time: str | None, given: float | None, *, label: str | None, target: str | None,
         group: str | None, recording: str | None) -> tuple[np.ndarray, np.ndarray, float | None, str]:
    """Order of the rows, edges of the runs in it, rate and note; ``given`` is the rate that the user says."""
    count = len(held.lines)
    code = {name: held.words[name][0] for name in (label, target, group, recording) if name}
    none = np.zeros(count, np.int64)
    part = code.get(recording, none)
    who, what = code.get(group, none) * (1 + part.max()) + part, np.stack([code.get(label, none), code.get(target, none)])
    # Without time stamps, rows of one subject that lie apart cannot be told from one recording.
    order = np.argsort(who, kind="stable") if time else np.arange(count)
    same = np.diff(who[order]) == 0
    breaks, rate, note = same & False, given, ""
    if time and same.any():
        breaks, rate, note = _breaks(held.time[order] * _unit(time), same, held.lines[order], time, given)
    inside = same & ~breaks & (np.diff(what[:, order]) == 0).all(0)
    return order, np.concatenate([[0], np.flatnonzero(~inside) + 1, [count]]), rate, note


def _unit(name: str) -> float:
    """Seconds in what a column counts, where its name says so as in ``time_ms``; a name that says nothing counts seconds."""
    said = re.search(r"[\s_(\[-](s|sec|ms|us|µs|ns)[)\]]?$", name.strip().lower())
    return UNITS[said[1]] if said else 1.0


def _breaks(stamps: np.ndarray, same: np.ndarray, lines: np.ndarray, name: str,
            given: float | None) -> tuple[np.ndarray, float | None, str]:
    """Where a row does not follow the one before, ``(n - 1,)`` like ``same`` (rows of one recording); rate; note.

    Raises:
        Unreadable: where most steps go back.
    """
    step = np.diff(stamps)
    usual = float(np.median(step[same]))
    back = same & (step < 0)
    if usual < 0:
        raise Unreadable(f"column {name!r} runs backwards; sort the rows by time")
    if usual == 0:
        return back, given, f"column {name!r} mostly stands still, too coarse to find gaps" + ("" if given else "; give --rate")
    rate, late, seen = given or float(f"{1 / usual:.6g}"), same & (step > 1.5 * usual), []
    if late.any():
        at = int(np.argmax(np.where(late, step, 0)))
        many = "gap" if late.sum() == 1 else f"{late.sum()} gaps, the longest"
        seen.append(f"{many} of {step[at] / usual / rate:.3g} s after line {lines[at]}")
    if back.any():
        many = "" if back.sum() == 1 else f" and {back.sum() - 1} times more"
        seen.append(f"time goes back after line {lines[int(np.argmax(back))]}{many}")
    note = [" and ".join(seen) + ", recording split there"] if seen else []
    if rate < 1 and not given:
        note.append(f"column {name!r} read as seconds gives {rate:.3g} rows a second; if it counts another unit, give --rate")
    return late | back, rate, "; ".join(note)
