"""Single columns of a table as text: of CSV, also under gzip, and of Parquet."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

import numpy as np

from unveil.data.columns import header, read_columns
from unveil.data.records import Unreadable
from unveil.data.runs import plain
from unveil.errors import Unusable

ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
MOST_CELLS = 1 << 28  # of a Parquet file, which may promise any number in a few bytes


def is_table(file: str) -> bool:
    """Whether the name is that of a table."""
    return file.lower().endswith(ENDINGS)


def names(file: str) -> list[str]:
    """The names of its columns.

    Raises:
        Unreadable: where it is no table that can be read.
    """
    if not file.lower().endswith(".parquet"):
        return header(file)
    return _parquet(file).schema_arrow.names


def column_called(file: str, name: str) -> str | None:
    """The column of that name in any case; None where there is none, or the file is no table."""
    try:
        return next((held for held in names(file) if held.strip().lower() == name), None)
    except Unreadable:
        return None


def read(file: str, wanted: Collection[str]) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Lines of the rows (of Parquet: numbers from 1) and the cells of the columns of ``wanted`` that are there.

    Raises:
        Unreadable: where it is damaged.
    """
    known = names(file)
    if not file.lower().endswith(".parquet"):
        held = read_columns(file, time=None, words=set(wanted), skip=set(known) - set(wanted))
        return held.lines, {name: np.array(words, object)[codes].tolist() for name, (codes, words) in held.words.items()}
    parquet, found = _parquet(file), [name for name in known if name in wanted]
    if parquet.metadata.num_rows * max(len(found), 1) > MOST_CELLS:
        raise Unreadable(f"promises {parquet.metadata.num_rows:,} rows; cut it into several files")
    try:
        table = parquet.read(columns=found)
        table.validate(full=True)
        cells = {name: ["" if cell is None else str(cell) for cell in table.column(name).to_pylist()] for name in found}
    except Exception as why:  # a damaged file can raise anything
        raise Unreadable("is damaged: save it again") from why
    return np.arange(1, parquet.metadata.num_rows + 1), cells


def _parquet(file: str):
    try:
        import pyarrow.parquet as parquet
    except ImportError as why:
        raise Unusable(f"reading {file} needs the package pyarrow: pip install 'unveil[parquet]'") from why
    try:
        return parquet.ParquetFile(file)
    except Exception as why:  # as above
        raise Unreadable("is no Parquet file that can be read") from why


def role(columns: Sequence[str], wanted: str | None, known: Collection[str], where: str) -> str | None:
    """The column that the user named, else the first that is known by its name.

    Raises:
        Unusable: where there is no such column.
    """
    if wanted is None:
        held = {plain(name): name for name in reversed(columns)}
        return next((held[name] for name in known if name in held), None)
    if wanted not in columns:
        close = difflib.get_close_matches(wanted, columns, 1)
        hint = f"did you mean {close[0]!r}" if close else f"its columns are {', '.join(columns) or 'none'}"
        raise Unusable(f"{where} has no column {wanted!r}; {hint}")
    return wanted
