"""What happens to text: cells, lines, encodings, JSON."""

from __future__ import annotations

import json
from random import Random

CELLS = ("nan", "NaN", "inf", "-inf", "1e400", "-1e400", "1e-400", "1e38", "3.5e38", "9" * 400, "0x10", "1_000", "٣", "²", "½", "", " ",
         "?",
         "-", "null", "True", "\0", "\x1b[31m", "\u202e", "a" * 5000, "9" * 140_000, "_" * 60_000, "=cmd|' /C calc'!A0", "<script>",
         "[bold]",
         "[/]", "../../x", '"', "'", "1,5", "1;5", "1\t5", "2024-05-01T12:00:00", "0001-01-01", "9999-12-31T23:59:59+00:01",
         "0001-01-01T00:00:00+23:59", "2024-13-45", "1e308", "-1e308", "\ud83d".encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "utf-7", "cp037")


def cell(content: bytes, rng: Random) -> bytes:
    """Other words in a few places between separators."""
    text = content.decode("utf-8", "replace")
    marks = [at for at, sign in enumerate(text) if sign in ",:;\n "]
    for _ in range(rng.choice((1, 1, 3, 20))):
        if marks:
            at = rng.choice(marks)
            end = next((later for later in range(at + 1, min(at + 60, len(text))) if text[later] in ",:;\n "), at + 1)
            text = text[:at + 1] + rng.choice(CELLS) + text[end:]
    return text.encode("utf-8", "replace")


def line(content: bytes, rng: Random) -> bytes:
    """A line lost, doubled, moved or made long."""
    lines = content.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.randrange(5)
    if way == 0:
        del lines[at]
    elif way == 1:
        lines.insert(other, lines[at])
    elif way == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif way == 3:
        lines[at] *= rng.choice((2, 3000))
    else:
        lines[at:at] = [rng.choice((b"", b"   ", b",,,,", b"#", b"@", b'"', b"\r", b"\x0c"))] * rng.choice((1, 500))
    return b"\n".join(lines)


def encoded(content: bytes, rng: Random) -> bytes:
    return content.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")


def ends(content: bytes, rng: Random) -> bytes:
    return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\0", b"\x0b", "\u2028".encode())))


TEXT = (cell, cell, cell, line, line, encoded, ends)


def deep(rng: Random) -> str:
    """JSON that nests further than anything recursive can follow."""
    count = rng.choice((500, 5_000, 30_000))
    start, end = rng.choice((("[", "]"), ('{"a":', "}")))
    return start * count + "1" + end * count


def odd_json(held: dict, rng: Random) -> str:
    """A table with values of other types, wild numbers, doubled keys or depth."""
    held = dict(held)
    for _ in range(rng.choice((1, 1, 2, 4))):
        name = rng.choice([*held, "label", "extra"])
        held[name] = rng.choice((None, True, -1, 0, 10**18, 10**30, float("nan"), float("inf"), "", "x" * 10_000, "\0", "\ud800", [], [[]],
                                 {},
                                 {"label": 1}, "../../etc/passwd", "<script>"))
    if rng.random() < 0.15:
        return deep(rng)
    text = json.dumps(held)
    if rng.random() < 0.2:
        text = text[:-1] + ", " + text[1:]
    return text[:rng.randrange(len(text))] if rng.random() < 0.1 else text
