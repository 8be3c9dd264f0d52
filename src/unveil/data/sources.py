"""Files that hold molecules, each as a list of texts with columns beside: SMILES by line or in a table, records of an SDF."""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unveil.data import cells, molecules
from unveil.data.changes import stamp
from unveil.data.records import Unreadable

SMILES = (".smi", ".smiles")
LONGEST_RECORD = 4 << 20
END, LAST = b"$$$$", b"M  END"
PROPERTY = re.compile(rb"^>[^\n<]*<([^>\n]{1,200})>[^\n]*\n([^\r\n]{0,200})", re.M)


@dataclass
class Source:
    """One file.

    Attributes:
        file: its path.
        places: int64 ``(n,)``, the line at which each molecule begins, or its row in a Parquet file.
        texts: SMILES of each; None of an SDF.
        spans: ``(n, 2)``, where each record of an SDF begins and ends.
        words: cells by column, as far as they were asked for.
        columns: all that may be asked for.
        fault: why the file cannot be used; empty where it can.
        seen: of its size and date when it was first read.
    """

    file: str
    places: np.ndarray
    texts: Sequence[str] | None = None
    spans: np.ndarray | None = None
    words: dict[str, list[str]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    fault: str = ""
    seen: int = 0

    def __len__(self) -> int:
        return len(self.places)

    def name(self, i: int) -> str:
        """What to call a molecule in a message."""
        return self.file if self.fault else f"{self.file} {'row' if self.file.endswith('.parquet') else 'line'} {self.places[i]}"

    def text(self, i: int) -> str:
        """The SMILES or the record of a molecule.

        Raises:
            Unreadable: where there is none, or the file was replaced.
        """
        if self.fault:
            raise Unreadable(self.fault)
        if self.texts is not None:
            return self.texts[i]
        if stamp(self.file) != self.seen:
            raise Unreadable("its file was replaced while it was in use")
        start, stop = self.spans[i].tolist()
        if stop - start > LONGEST_RECORD:
            raise Unreadable(f"is a record of {stop - start:,} bytes, more than {LONGEST_RECORD:,}")
        with open(self.file, "rb") as stream:
            stream.seek(start)
            return chemistry(stream.read(stop - start))

    def molecule(self, i: int, whole: bool = False):
        """A molecule of RDKit; ``whole`` keeps the hydrogens of an SDF as atoms.

        Raises:
            Unreadable: where there is none.
        """
        text = self.text(i)
        return molecules.of_block(text, whole) if self.texts is None else molecules.of_smiles(text)


def opened(file: str, wanted: Callable[[str], bool], properties: str | None = None) -> Source:
    """A file with the columns that are wanted.

    Args:
        file: ``.smi``, ``.smiles``, ``.sdf`` or a table with a column of SMILES.
        wanted: whether a column is to be kept.
        properties: a table with a line a record beside an SDF.
    """
    try:
        if file.lower().endswith(SMILES):
            return _lines(file)
        return _records(file, wanted, properties) if file.lower().endswith(".sdf") else _table(file, wanted)
    except Unreadable as why:
        return Source(file, np.zeros(1, np.int64), fault=str(why))


def _lines(file: str) -> Source:
    """SMILES by line, each with a name behind it or not; a first line that says smiles is a header."""
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            texts = [(line.split(None, 1) or [""])[0] for line in stream]
    except OSError as why:
        raise Unreadable(f"cannot be opened: {why.strerror}") from why
    while texts and not texts[-1]:
        texts.pop()
    skip = bool(texts) and texts[0].lower() == "smiles"
    if len(texts) == skip:
        raise Unreadable("has no SMILES")
    return Source(file, np.arange(1 + skip, 1 + len(texts)), texts[skip:])


def _table(file: str, wanted: Callable[[str], bool]) -> Source:
    smiles = cells.column_called(file, "smiles")
    columns = cells.names(file)
    if smiles is None:
        raise Unreadable(f"has no column smiles; its columns are {', '.join(columns)}")
    lines, words = cells.read(file, {smiles, *filter(wanted, columns)})
    if not len(lines):
        raise Unreadable("has no rows")
    return Source(file, lines, words.pop(smiles), words=words,
                  columns=[name for name in columns if name != smiles])


def _records(file: str, wanted: Callable[[str], bool], properties: str | None) -> Source:
    """The records of an SDF by their place, with what their properties, or a table beside, say."""
    seen, columns, held = stamp(file), {}, []
    spans, lines, titles = [], [], []
    for start, stop, line, record in cut(file):
        end = record.find(LAST)
        facts = {name.decode("latin1"): value.decode("latin1").strip() for name, value in PROPERTY.findall(record, max(end, 0))}
        columns |= dict.fromkeys(facts)
        held.append({name: value for name, value in facts.items() if wanted(name)})
        spans.append((start, stop if end < 0 else start + end + len(LAST)))
        lines.append(line)
        titles.append(record[:200].partition(b"\n")[0].decode("latin1").strip())
    if not spans:
        raise Unreadable("has no records")
    words = {name: [facts.get(name, "") for facts in held] for name in filter(wanted, columns)}
    source = Source(file, np.array(lines), None, np.array(spans), words, list(columns), seen=seen)
    if properties:
        _beside(source, properties, wanted, titles)
    return source


def chemistry(record: bytes) -> str:
    """A record up to its properties, as text."""
    return record[:record.find(LAST) + len(LAST) if LAST in record else None].decode("latin1").replace("\r\n", "\n")


def cut(file: str) -> Iterator[tuple[int, int, int, bytes]]:
    """Begin, end, first line and content of the records of an SDF; of one that is too long its beginning."""
    try:
        with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start, line, size = 0, 1, len(content)
            while start < size:
                stop = _end(content, start)
                record = content[start:min(stop, start + LONGEST_RECORD)]
                if record.strip():
                    yield start, stop, line, record
                after = content.find(b"\n", stop)
                after = size if after < 0 else after + 1
                line += content[start:after].count(b"\n")
                start = after
    except ValueError as why:
        raise Unreadable("is empty") from why
    except OSError as why:
        raise Unreadable(f"cannot be opened: {why.strerror}") from why


def _end(content: mmap.mmap, start: int) -> int:
    """Where the line that ends a record begins; the end of the file where there is none."""
    if content[start:start + len(END)] == END:
        return start
    found = content.find(b"\n" + END, start)
    return len(content) if found < 0 else found + 1


def _beside(source: Source, properties: str, wanted: Callable[[str], bool], titles: list[str]) -> None:
    """Adds the columns of a table with a line a record, found by the records' titles where its first column holds these."""
    columns = cells.names(properties)
    lines, words = cells.read(properties, {columns[0], *filter(wanted, columns)})
    keys = words[columns[0]]
    place = {key: number for number, key in enumerate(keys)}
    order = [place.get(title, -1) for title in titles]
    if max(order) < 0:
        if len(lines) != len(titles):
            raise Unreadable(f"has {len(titles)} records, {Path(properties).name} beside it has {len(lines)} rows, and no title is in its "
                             f"column {columns[0]!r}")
        order = range(len(titles))
    source.columns += [name for name in columns if name not in source.columns]
    source.words |= {name: ["" if at < 0 else words[name][at] for at in order] for name in words if wanted(name)}
