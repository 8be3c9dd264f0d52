"""Broken CSV files, alone or beside a sound one."""

from __future__ import annotations

from random import Random

from broken.damage import damaged
from broken.words import CELLS, TEXT

HEADS = (["time", "x", "y", "label", "subject"], ["x", "y"], ["t_ms", "x", "y", "Subject ID", "trial"], ["x", "", "unnamed: 0", "class"])


def sound(rng: Random, head: list[str] | None = None, mark: str = ",") -> bytes:
    """A table of a few recordings."""
    head = head or rng.choice((HEADS[0], *HEADS))
    rows = rng.choice((1, 40, 60, 60))
    words = {"label": lambda i: "ab"[i // 20 % 2], "class": lambda i: i % 2, "subject": lambda i: f"p{i // 10}", "trial": lambda i: i // 20,
             "Subject ID": lambda i: i // 10, "time": lambda i: f"{i / 50:.3f}", "t_ms": lambda i: 20 * i, "unnamed: 0": lambda i: i}
    cells = lambda i: [str(words.get(name, lambda i: round(rng.gauss(0, 1), 4))(i)) for name in head]
    return "\n".join([mark.join(head), *(mark.join(cells(i)) for i in range(rows))]).encode() + b"\n"


def odd_head(rng: Random) -> bytes:
    """Columns that are many, nameless, twice there or called oddly."""
    names = [rng.choice((*CELLS, "time", "time", "label", "x", "y", "subject")) for _ in range(rng.choice((1, 3, 5, 2000)))]
    return (",".join(names) + "\n" + "\n".join(",".join(str(i) for _ in names) for i in range(3))).encode("utf-8", "replace")


def odd_time(rng: Random) -> bytes:
    """Stamps that stand, jump, run backwards or overflow."""
    stamp = rng.choice((lambda i: 0, lambda i: -i, lambda i: i * 1e307, lambda i: (-1) ** i * 1e308, lambda i: i * 1e-320, lambda i: 10**i,
                        lambda i: f"2024-01-01T00:00:{i % 60:02d}Z", lambda i: f"{i:04d}-01-01", lambda i: "now",
                        lambda i: i if i % 2 else ""))
    name = rng.choice(("time", "t (ms)", "timestamp_ns", "date"))
    return "\n".join([f"{name},x,label", *(f"{stamp(i)},{i},a" for i in range(1, 40))]).encode()


def quotes(rng: Random) -> bytes:
    return b"x,y\n" + rng.choice((b'"1,2\n' * 50, b'"' * 1001, b'1,"2"3\n', b'"' + b"1\n" * 100_000, b'"1\n2",3\n' * 50, b"1,2\\\n",
                                  b'1,"' + b"9" * 200_000))


def much(rng: Random) -> bytes:
    """More than anyone writes: one long line, no end of columns, a field of megabytes."""
    return rng.choice((b"x" * 3_000_000, b"," * 300_000, b"x,y\n" + b"1" * 3_000_000, b"x,y\n" + b"1,2\n" * 100_000, b"\n" * 500_000,
                       b"x,y\n" + b"1,2," * 200_000, b"\xff\xfe" * 5000, b"x\n" + b"1e400\n" * 500))


SPECIAL = (odd_head, odd_time, quotes, much)
SAID = ({}, {}, {}, {"labels": "label"}, {"labels": "folders"}, {"groups": "subject"}, {"groups": "files"}, {"time": "time"},
        {"targets": "y"},
        {"rate": 50.0}, {"labels": "lable"}, {"time": "x"})


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, one file or two, what the user says."""
    if rng.random() < 0.3:
        way = rng.choice(SPECIAL)
        how, content = way.__name__, way(rng)
    else:
        how, content = damaged(sound(rng, mark=rng.choice(",,,;\t")), rng, [sound(rng)], TEXT * 2)
    files = {"a.csv": content}
    if rng.random() < 0.3:
        files[rng.choice(("b.csv", "in/b.csv"))] = sound(rng, HEADS[0])
    return how, files, dict(rng.choice(SAID))
