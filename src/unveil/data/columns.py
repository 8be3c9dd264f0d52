"""One CSV file by columns: numbers, words and time stamps, with the place of whatever is none of them."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from typing import TextIO

import numpy as np

from unveil.data.machine import memory_limit
from unveil.data.records import Unreadable
from unveil.errors import Unusable

MISSING = {"", "nan", "na", "n/a", "null", "none", "?", "-"}
BLOCK = 4096
MOST_CELLS = 1 << 28  # of a Parquet file, which may promise any number in a few bytes


@dataclass
class Columns:
    """The ``n`` rows of a file.

    Attributes:
        lines: int64 ``(n,)``, line of each row in the file, from 1.
        time: float64 ``(n,)`` as counted in the file, date-times as seconds; None where there is no such column.
        numbers: float32 ``(n,)`` by column, NaN where a cell is empty.
        words: codes int64 ``(n,)`` and the words they stand for, by column.
        texts: line and text of the first cell that is no number, by column, of columns that hold mostly text.
        empty: columns of numbers without a value.
    """

    lines: np.ndarray
    time: np.ndarray | None
    numbers: dict[str, np.ndarray]
    words: dict[str, tuple[np.ndarray, list[str]]]
    texts: dict[str, str] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)


def header(file: str) -> list[str]:
    """The names of the columns.

    Raises:
        Unreadable: where the file is no CSV or its first line names no columns.
    """
    with _rows(file) as (names, _):
        named = [name for name in names if name]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice:
        raise Unreadable(f"line 1: two columns are called {twice!r}; rename one")
    if all(np.isfinite(number(name)) for name in named):
        raise Unreadable("line 1 holds no names of columns; put a line such as time,x,y,z,label above the numbers")
    return names


def read_columns(file: str, *, time: str | None, words: Collection[str], skip: Collection[str]) -> Columns:
    """Reads a file in one pass.

    Args:
        file: its path.
        time: column of seconds or ISO date-times.
        words: columns to keep as text.
        skip: columns to leave out.

    Raises:
        Unreadable: with line, column and cell, where a time stamp is none, where a row has too many or too few cells, or
            where a column of numbers holds a few cells that are no finite number.
    """
    lines, stamps, numbers = [np.empty(0, np.int64)], [np.empty(0)], defaultdict(list)
    codes, places, bad = defaultdict(list), defaultdict(dict), defaultdict(list)
    with _rows(file) as (names, reader):
        before = reader.line_num
        while block := list(islice(reader, BLOCK)):
            number, rows = _even(block, before, reader.line_num, len(names))
            lines.append(number)
            before = reader.line_num
            for name, cells in zip(names, zip(*rows)):
                if name == time:
                    stamps.append(_stamps(cells, number, name))
                elif name in words:
                    place = places[name]
                    codes[name].append(np.array([place.setdefault(cell.strip(), len(place)) for cell in cells]))
                elif name not in skip:
                    values, wrong = cell_numbers(cells)
                    numbers[name].append(values)
                    bad[name] += [(number[at], cells[at]) for at in wrong]
    if not sum(map(len, lines)):
        raise Unreadable("has no rows below the names of its columns")
    held = Columns(np.concatenate(lines), np.concatenate(stamps) if time else None,
                   {name: np.concatenate(parts) for name, parts in numbers.items()},
                   {name: (np.concatenate(parts), list(places[name])) for name, parts in codes.items()})
    return _sorted_out(held, bad)


def _sorted_out(held: Columns, bad: dict[str, list]) -> Columns:
    """Takes columns of text out of the numbers.

    Raises:
        Unreadable: at a column that is mostly numbers but not all.
    """
    for name, values in list(held.numbers.items()):
        filled = int((~np.isnan(values)).sum())
        if not filled:
            held.empty.add(name)
        elif bad[name]:
            line, cell = bad[name][0]
            if 2 * len(bad[name]) <= filled:
                raise Unreadable(f"line {line}, column {name!r}: {cell[:40]!r} is not a finite number; correct it or leave "
                                 "it empty")
            held.texts[name] = f"line {line}: {cell[:40]!r}"
            del held.numbers[name]
    return held


@contextmanager
def _rows(file: str) -> Iterator[tuple[list[str], csv.reader]]:
    """The names in the first line and a reader of the lines after it."""
    if file.lower().endswith(".parquet"):
        rows = ParquetRows(file)
        yield rows.names, rows
        return
    reader = None
    try:
        with _opened(file) as stream:
            first = stream.readline(1 << 20)
            if not first.strip():
                raise Unreadable("is empty" if not first else "line 1 is blank; it must name the columns")
            stream.seek(0)
            reader = csv.reader(stream, delimiter=max(",;\t", key=first.count), strict=True)
            yield [name.strip() for name in next(reader)], reader
    except UnicodeDecodeError as why:
        raise Unreadable("is no UTF-8 text; save it as CSV in UTF-8") from why
    except csv.Error as why:
        raise Unreadable(f"line {reader.line_num}: {why}") from why
    except (EOFError, gzip.BadGzipFile, zlib.error) as why:
        raise Unreadable("is no gzip file, or one that is damaged or cut short") from why
    except OSError as why:
        raise Unreadable(f"cannot be opened: {why.strerror}") from why


class ParquetRows:
    """Rows of a Parquet file as a reader of CSV gives them, as text, some at a time.

    Raises:
        Unreadable: where the file is damaged.
        Unusable: where pyarrow is not installed.
    """

    def __init__(self, file: str):
        try:
            from pyarrow import parquet
        except ImportError as why:
            raise Unusable(f"reading {file} needs the package pyarrow: pip install 'unveil[parquet]'") from why
        try:
            self.held = parquet.ParquetFile(file)
            self.names = [name.strip() for name in self.held.schema_arrow.names]
        except Exception as why:  # a damaged file can raise anything
            raise Unreadable("is no Parquet file, or one that is damaged") from why
        if self.held.metadata.num_rows * max(len(self.names), 1) > MOST_CELLS:
            raise Unreadable(f"promises {self.held.metadata.num_rows:,} rows; cut it into several files")
        self.line_num, self.rows = 0, self._rows()

    def __iter__(self) -> ParquetRows:
        return self

    def __next__(self) -> list[str]:
        row = next(self.rows)
        self.line_num += 1
        return row

    def _rows(self) -> Iterator[list[str]]:
        try:
            for batch in self.held.iter_batches(BLOCK):
                batch.validate(full=True)
                columns = [["" if cell is None else str(cell) for cell in column.to_pylist()] for column in batch.columns]
                yield from map(list, zip(*columns))
        except Exception as why:
            raise Unreadable("is damaged: its rows cannot be read") from why


def _opened(file: str) -> TextIO:
    """A file as text; one that ends in ``.gz`` unpacked, after a look at how much that gives."""
    if not file.endswith(".gz"):
        return open(file, newline="", encoding="utf-8-sig")
    most, size = memory_limit() // 8, 0
    with gzip.open(file, "rb") as stream:
        while part := stream.read(1 << 20):
            size += len(part)
            if size > most:
                raise Unreadable(f"unpacks to more than {most / 2**30:.1f} GiB, an eighth of what this process may use: unpack it, and cut "
                                 "it into several files")
    return gzip.open(file, "rt", newline="", encoding="utf-8-sig")


def _even(block: list[list[str]], before: int, last: int, width: int) -> tuple[np.ndarray, list[list[str]]]:
    """The rows between two lines that are not blank, and the line that each ends on.

    Raises:
        Unreadable: where a row has not a cell a column.
    """
    lines = np.arange(before + 1, before + 1 + len(block))
    if lines[-1] != last:
        lines = before + np.cumsum([1 + "".join(row).count("\n") for row in block])
    sizes = np.fromiter(map(len, block), np.int64, len(block))
    if (sizes == width).all():
        return lines, block
    wrong = np.flatnonzero((sizes != width) & (sizes > 0))
    if len(wrong):
        raise Unreadable(f"line {lines[wrong[0]]} has {sizes[wrong[0]]} cells, the names of columns in line 1 are {width}")
    return lines[sizes > 0], [row for row in block if row]


def cell_numbers(cells: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Cells as float32, NaN where empty or marked as missing, and the positions of those that are no finite number."""
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        values = np.array([number(cell) for cell in cells])
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    return values, np.flatnonzero(np.isinf(values))


def number(cell: str) -> float:
    """NaN for an empty cell, infinity for text: neither is a value, and the two stay apart."""
    try:
        return float(cell)
    except ValueError:
        return np.nan if cell.strip().lower() in MISSING else np.inf


def _stamps(cells: Sequence[str], lines: np.ndarray, name: str) -> np.ndarray:
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        values = np.array([_stamp(cell) for cell in cells])
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise Unreadable(f"line {lines[wrong[0]]}, column {name!r}: {cells[wrong[0]][:40]!r} is neither a number nor a date-time "
                         "such as 2024-05-01T12:00:00.250")
    return values


def _stamp(cell: str) -> float:
    """A number as it is, an ISO date-time as seconds since 1970 (UTC where it names no zone), anything else as NaN."""
    try:
        return float(cell)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(cell.strip().replace("Z", "+00:00"))
    except ValueError:
        return np.nan
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()
