"""Series in ``.ts`` files, as of the UCR and UEA archives: one file, or a folder of them.

Where a folder holds ``NAME_TRAIN.ts`` and ``NAME_TEST.ts``, the second is the official test part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unveil.data.columns import cell_numbers
from unveil.data.labels import numeric
from unveil.data.options import Options
from unveil.data.readers.pictures import walk
from unveil.data.records import Records, Unreadable
from unveil.errors import Unusable

NAME = "series"
KINDS = ("signal",)


@dataclass
class Head:
    """What the ``@`` lines of a file say.

    Attributes:
        classes: names of the labels; None where cases carry none.
        target: cases end with a number to predict.
        dimensions: number of channels; None where it does not say.
    """

    classes: list[str] | None = None
    target: bool = False
    dimensions: int | None = None


@dataclass
class Case:
    """A line of a file: where it lies, its label, or what is wrong with it."""

    file: str
    line: int
    start: int
    head: Head | None
    label: str = ""
    fault: str = ""
    target: str = ""


def detect(path: Path) -> str | None:
    """What is seen at ``path``, looking at names alone."""
    if path.is_file():
        return "a .ts file" if path.suffix.lower() == ".ts" else None
    return "a folder of .ts files" if next(walk(path, {".ts"}), None) else None


def read(path: Path, options: Options) -> Records:
    """Records of one file or of all below a folder, a case each, parsed when asked for.

    Raises:
        Unusable: where no file can be used, or files name different classes.
    """
    files = [str(path)] if path.is_file() else list(walk(path, {".ts"}))
    cases = [case for file in files for case in _cases(file)]
    heads = {case.file: case.head for case in cases if case.head}
    if not heads:
        raise Unusable(f"none of the {len(files)} .ts files in {path} can be used; {cases[0].file}: {cases[0].fault}")
    _same_classes(heads)
    tests = {file for file in heads if file.endswith("_TEST.ts") and file.removesuffix("_TEST.ts") + "_TRAIN.ts" in heads}
    names = [f"{case.file} line {case.line}" if case.line else case.file for case in cases]
    labels = np.array([case.label for case in cases])
    targets = [case.target for case in cases]
    return Records(names, lambda i: _values(cases[i]), layout="ct", rate=options.rate, labels=labels if any(labels) else None,
                   targets=numeric(targets, names, "the target") if any(target.strip("?") for target in targets) else None,
                   groups=np.array([case.file for case in cases]) if options.groups == "files" else None,
                   test=np.array([case.file in tests for case in cases]) if tests else None)


def _same_classes(heads: dict[str, Head]) -> None:
    first, usual = next(iter(heads.items()))
    for file, head in heads.items():
        if head.classes != usual.classes:
            said = [" ".join(classes or ["none"]) for classes in (usual.classes, head.classes)]
            raise Unusable(f"{first} has the classes {said[0]}, {file} has {said[1]}: these are different data sets; "
                           "name one file, or the folder of one set")


def _cases(file: str) -> list[Case]:
    """The cases of a file; one with the reason where the file cannot be used."""
    try:
        with open(file, "rb") as stream:
            head, line = _head(stream)
            cases, start = [], stream.tell()
            for number, content in enumerate(stream, line + 1):
                text = content.decode("utf-8", "replace").strip()
                if text and text[0] not in "#%":
                    target = text.rpartition(":")[2].strip() if head.target else ""
                    cases.append(Case(file, number, start, head, *_label(text, head), target))
                start += len(content)
    except (Unreadable, OSError) as why:
        return [Case(file, 0, 0, None, fault=str(why))]
    return cases or [Case(file, 0, 0, None, fault="has no cases after @data")]


def _label(text: str, head: Head) -> tuple[str, str]:
    """The label of a case and what is wrong with it, each empty where there is none."""
    label = text.rpartition(":")[2].strip()
    if head.classes is None or label == "?":
        return "", ""
    if label not in head.classes:
        return "", f"ends with {label[:40]!r}, which is none of the classes {' '.join(head.classes)}"
    return label, ""


def _head(stream) -> tuple[Head, int]:
    """Reads up to ``@data``; what was said and the number of that line.

    Raises:
        Unreadable: where this is no ``.ts`` file, or its values have time stamps.
    """
    head = Head()
    for number, content in enumerate(stream, 1):
        word, *rest = content.decode("utf-8-sig", "replace").split() or ["#"]
        word, said = word.lower(), bool(rest) and rest[0].lower() == "true"
        if word == "@data":
            return head, number
        if word[0] not in "@#%":
            raise Unreadable(f"line {number} is neither an @ line nor a comment, and @data has not come")
        if word == "@timestamps" and said:
            raise Unreadable(f"line {number}: its values have time stamps; write them evenly spaced, with @timeStamps false")
        if word == "@classlabel" and said:
            head.classes = sorted(rest[1:])
        elif word == "@targetlabel" and said:
            head.target = True
        elif word in ("@dimension", "@dimensions") and rest and rest[0].isdecimal():
            head.dimensions = int(rest[0][:9])  # more digits are no less wrong
    raise Unreadable("has no line @data; it is cut short, or no .ts file of series")


def _values(case: Case) -> np.ndarray:
    """A case as ``(C, T)`` float32, NaN where a value is missing.

    Raises:
        Unreadable: where the file cannot be used, or the case has unequal dimensions or anything but numbers.
    """
    if case.fault:
        raise Unreadable(case.fault)
    with open(case.file, "rb") as stream:
        stream.seek(case.start)
        parts = stream.readline().decode("utf-8", "replace").strip().split(":")
    parts = parts[:-1] if case.head.classes is not None or case.head.target else parts
    if not parts:
        raise Unreadable("has a label or target, but no values")
    if case.head.dimensions not in (None, len(parts)):
        raise Unreadable(f"has {len(parts)} dimensions, @dimensions says {case.head.dimensions}")
    if parts and "(" in parts[0]:
        raise Unreadable("its values have time stamps; write them evenly spaced")
    dims = [_numbers(part, number) for number, part in enumerate(parts, 1)]
    odd = next((number for number, dim in enumerate(dims, 1) if len(dim) != len(dims[0])), None)
    if odd:
        raise Unreadable(f"dimension {odd} has {len(dims[odd - 1])} values, dimension 1 has {len(dims[0])}")
    return np.stack(dims)


def _numbers(part: str, dimension: int) -> np.ndarray:
    cells = part.split(",")
    values, wrong = cell_numbers(cells)
    if len(wrong):
        raise Unreadable(f"dimension {dimension}, value {wrong[0] + 1}: {cells[wrong[0]].strip()[:40]!r} is not a finite number")
    return values
