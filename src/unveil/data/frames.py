"""Files of atoms as text, each as a list of frames: where every frame lies, what is said of it, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from unveil.data.atoms import cell_of, element, structure
from unveil.data.changes import stamp
from unveil.data.packed import Structure
from unveil.data.records import Unreadable

LONGEST_COMMENT = 1 << 16
UNSAID = "forces of XYZ files are taken as eV/angstrom, as ASE writes them: the file does not say its unit"
LONGEST = 8 << 20  # characters of a CIF or of one comment, which a person never writes
FACT = re.compile(r"""(?<![\w./-])([A-Za-z_][\w./-]{0,99})[ \t]{0,9}=[ \t]{0,9}
                      ("(?:[^"\\]|\\.){0,5000}"|\{[^}]{0,5000}\}|\[[^\]]{0,5000}\]|[^\s"{\[]{1,5000})""", re.X)  # all bounded: none is slow
QM9 = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv")
QM9_UNITS = dict(zip(QM9, ("GHz", "GHz", "GHz", "D", "a0^3", *("Ha",) * 3, "a0^2", *("Ha",) * 5, "cal/(mol K)")))


@dataclass
class Frames:
    """One file.

    Attributes:
        file: its path.
        read: the frame of a number from 0.
        count: number of frames.
        places: the line, row or number of each, for its name.
        facts: what is said of each, by name.
        units: of facts, where the format fixes them.
        fault: why the file cannot be used; empty where it can.
        notes: sentences about the file that a person should see.
    """

    file: str
    read: Callable[[int], Structure]
    places: list[int]
    facts: list[dict[str, str]] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    what: str = "frame"
    words: dict[str, list[str]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self):
        if self.facts:
            self.columns = list(dict.fromkeys(name for facts in self.facts for name in facts))

    def __len__(self) -> int:
        return len(self.places)

    def name(self, i: int) -> str:
        """What to call a frame in a message."""
        return self.file if len(self) == 1 and self.what != "line" else f"{self.file} {self.what} {self.places[i]}"

    def keep(self, wanted: Callable[[str], bool]) -> Frames:
        """The same with the columns that are wanted, and the facts let go."""
        self.words |= {name: [facts.get(name, "") for facts in self.facts] for name in filter(wanted, self.columns)
                       if name not in self.words}
        self.facts = []
        return self


def unusable(file: str, why: str) -> Frames:
    """A file that cannot be used, as one frame that says why."""
    def read(i: int) -> Structure:
        raise Unreadable(why)
    return Frames(file, read, [1], fault=why)


def unchanged(file: str, seen: int) -> None:
    """Sees to it that a file is what it was.

    Raises:
        Unreadable: where it was replaced.
    """
    if stamp(file) != seen:
        raise Unreadable("its file was replaced while it was in use")


# ---- XYZ, plain, extended and as QM9 comes


def xyz(file: str) -> Frames:
    """The frames of an XYZ file; of one that goes wrong those before the line that does.

    Raises:
        Unreadable: where there is not one.
    """
    seen, spans, lines, facts, wrong = stamp(file), [], [], [], ""
    with open(file, "rb") as stream:
        number = 0
        while line := stream.readline():
            number += 1
            if not line.strip():
                continue
            if not line.strip().isdigit() or len(line) > 20:
                wrong = f"line {number}: {line.strip()[:40].decode('utf-8', 'replace')!r} is no number of atoms"
                break
            atoms, begin = int(line), number
            comment = stream.readline(LONGEST)
            start = stream.tell()
            got = next((i for i in range(atoms) if not stream.readline()), atoms)
            number += 1 + got
            spans.append((start, stream.tell(), atoms, comment.decode("utf-8", "replace")))
            lines.append(begin)
            facts.append(_said(spans[-1][3]))
            if comment.startswith(b"gdb "):
                number += sum(bool(stream.readline()) for _ in range(3))  # frequencies, SMILES, InChI
    if not spans:
        raise Unreadable(wrong or "is empty")

    def read(i: int) -> Structure:
        unchanged(file, seen)
        if i == len(spans):
            raise Unreadable(wrong)
        start, stop, atoms, comment = spans[i]
        with open(file, "rb") as stream:
            stream.seek(start)
            rows = stream.read(stop - start).decode("utf-8", "replace").replace("*^", "e").splitlines()
        return _xyz_frame(rows, atoms, comment, lines[i] + 2)

    forced = any(_force(_columns(of)) for of in facts)
    return Frames(file, read, lines + [number] * bool(wrong), facts + [{}] * bool(wrong), what="line",
                  units=QM9_UNITS if spans[0][3].startswith("gdb ") else {}, notes=[UNSAID] if forced else [])


def _said(comment: str) -> dict[str, str]:
    """What a comment says of its frame, values as text."""
    if comment.startswith("gdb "):
        return dict(zip(QM9, comment.replace("*^", "e").split()[2:]))
    return {name: value[1:-1] if value[0] in '"{[' else value for name, value in FACT.findall(comment[:LONGEST_COMMENT])}


def _xyz_frame(rows: list[str], atoms: int, comment: str, line: int) -> Structure:
    if len(rows) < atoms:
        raise Unreadable(f"promises {atoms:,} atoms, {len(rows):,} follow: it is cut short")
    facts = {name.lower(): value for name, value in _said(comment).items()}
    columns = _columns(facts)
    named = columns.get("species", columns.get("z"))
    if named is None or "pos" not in columns:
        raise Unreadable("its Properties name no species or no pos")
    symbol, place, pull = named.start, columns["pos"].start, _force(columns)
    words = [row.split() for row in rows[:atoms]]
    short = next((i for i, row in enumerate(words) if len(row) < max(symbol + 1, place + 3)), None)
    if short is not None:
        raise Unreadable(f"line {line + short} has {len(words[short])} values; an atom has an element and three coordinates")
    numbers = np.array([_element(row[symbol], line + i) for i, row in enumerate(words)], np.int64)
    places = np.array([[_number(cell, line + i) for cell in row[place:place + 3]] for i, row in enumerate(words)]).reshape(-1, 3)
    forces = None if pull is None else np.array([_forces(row, pull) for row in words])
    if "lattice" not in facts:
        return structure(numbers, places, forces=forces)
    vectors = facts["lattice"].split()
    if len(vectors) != 9:
        raise Unreadable(f"line {line - 1}: its Lattice has {len(vectors)} numbers; there must be 9")
    cell = np.array([_number(cell, line - 1) for cell in vectors]).reshape(3, 3)
    said = [word.upper() in ("T", "TRUE", "1") for word in facts.get("pbc", "T T T").replace(",", " ").split()]
    if len(said) not in (1, 3):
        raise Unreadable(f"line {line - 1}: its pbc has {len(said)} words; there must be 3")
    return structure(numbers, places, cell, np.array(said * (3 // len(said))), forces)


def _columns(facts: dict[str, str]) -> dict[str, slice]:
    """Where in a row each property stands, by its name in small letters."""
    properties = next((value for name, value in facts.items() if name.lower() == "properties"), "species:S:1:pos:R:3")
    parts, at, found = properties.split(":"), 0, {}
    for name, width in zip(parts[::3], parts[2::3]):
        end = at + (int(width[:4]) if width.isdecimal() else 0)
        found.setdefault(name.lower(), slice(at, end))
        at = end
    return found


def _force(columns: dict[str, slice]) -> slice | None:
    return columns.get("forces", columns.get("force"))


def _forces(row: list[str], where: slice) -> list[float]:
    """The force on an atom, NaN for a cell that is missing or no number: a frame is not lost for its labels."""
    held = []
    for at in range(where.start, where.stop):
        try:
            held.append(float(row[at]))
        except (IndexError, ValueError):
            held.append(np.nan)
    return held


def _element(word: str, line: int) -> int:
    try:
        return element(word)
    except Unreadable as why:
        raise Unreadable(f"line {line}: {why}") from why


def _number(cell: str, line: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise Unreadable(f"line {line}: {cell[:40]!r} is no number") from None


# ---- PDB


def pdb(file: str) -> Frames:
    """The models of a PDB file. Of an atom with several places the first is taken.

    Raises:
        Unreadable: where it is empty.
    """
    seen, models, crystal, number = stamp(file), [[]], "", 0
    with open(file, "rb") as stream:
        for number, content in enumerate(stream, 1):
            word = content[:6].rstrip()
            if word in (b"ATOM", b"HETATM"):
                models[-1].append((number, content[:80].decode("latin1").rstrip("\r\n")))
            elif word == b"CRYST1":
                crystal = content[:80].decode("latin1")
            elif word == b"ENDMDL":
                models.append([])
    models = [model for model in models if model] or models[:1]
    if not number:
        raise Unreadable("is empty")

    def read(i: int) -> Structure:
        unchanged(file, seen)
        return _pdb_model(models[i], crystal)
    return Frames(file, read, list(range(1, len(models) + 1)), what="model")


def _pdb_model(rows: list[tuple[int, str]], crystal: str) -> Structure:
    kept = [(line, row) for line, row in rows if row[16:17] in (" ", "", "A", "1")]
    numbers = np.array([_pdb_element(row, line) for line, row in kept], np.int64)
    places = np.array([[_number(row[at:at + 8].strip() or "?", line) for at in (30, 38, 46)] for line, row in kept]).reshape(-1, 3)
    try:
        sides, angles = ([float(crystal[at:at + wide]) for at in begin] for begin, wide in (((6, 15, 24), 9), ((33, 40, 47), 7)))
    except ValueError:
        sides, angles = [0.0], []
    if max(sides) <= 1:  # none, or the 1 x 1 x 1 of structures without a crystal
        return structure(numbers, places)
    return structure(numbers, places, cell_of(np.array(sides), np.array(angles)), np.ones(3, bool))


def _pdb_element(row: str, line: int) -> int:
    """The element in its columns; of old files that have none, the name of the atom without its place in the residue."""
    said = row[76:78].strip() or (row[12:14].strip() if row[12:13] != " " and row[:6] == "HETATM" else row[12:16].strip(" 0123456789")[:1])
    return _element(said or "?", line)
