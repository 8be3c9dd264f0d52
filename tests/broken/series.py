"""Broken ``.ts`` files."""

from __future__ import annotations

from random import Random

from broken.damage import damaged
from broken.words import CELLS, TEXT


def sound(rng: Random) -> bytes:
    """A few cases, with classes, targets or neither."""
    dims, length, way = rng.choice((1, 1, 3)), rng.choice((4, 20)), rng.choice(("classes", "target", "bare"))
    head = ["# made here", "@problemName Made", "@timeStamps false", f"@univariate {str(dims == 1).lower()}", f"@dimensions {dims}",
            {"classes": "@classLabel true a b", "target": "@targetLabel true", "bare": "@classLabel false"}[way], "@data"]
    part = lambda: ",".join(f"{rng.gauss(0, 1):.3f}" for _ in range(length))
    end = {"classes": lambda i: ["ab"[i % 2]], "target": lambda i: [str(i / 3)], "bare": lambda i: []}[way]
    return "\n".join([*head, *(":".join([*(part() for _ in range(dims)), *end(i)]) for i in range(6))]).encode() + b"\n"


def odd_head(rng: Random) -> bytes:
    """``@`` lines that lie, come twice, or say what cannot be."""
    lines = [rng.choice(("@dimensions", "@dimension", "@classLabel", "@classLabel true", "@targetLabel true", "@timeStamps true",
                         "@timeStamps",
                         "@data", "@missing true", "@equalLength false", "@", "@ ", "%", "#", "data", "@classLabel TRUE a a a",
                         "@dimensions " + rng.choice(CELLS), "@classLabel true " + " ".join(rng.choice(CELLS) for _ in range(3)),
                         "@dimensions 99999999999999999999", "@dimensions 0", "@dimensions -1")) for _ in range(rng.randrange(12))]
    return sound(rng).replace(b"@data", "\n".join([*lines, "@data"]).encode("utf-8", "replace"), 1)


def odd_cases(rng: Random) -> bytes:
    """Lines without values, of label alone, of other lengths, with time stamps, or endless."""
    head = sound(rng).partition(b"@data\n")[0] + b"@data\n"
    lines = [rng.choice(("", ":", "::", "a", "?", ":a", "1:a", "1,2,3:a", "1,2:1,2,3:a", "(0,1),(1,2):a", "?,?,?:a", ",,,:a", "5", "nan:b",
                         "1,2,3:" * 50 + "a", "1," * 100_000 + "1:a", ",".join(rng.choice(CELLS) for _ in range(4)) + ":a",
                         "1:" + rng.choice(CELLS))) for _ in range(rng.randrange(9))]
    return head + "\n".join(lines).encode("utf-8", "replace")


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, one file or two, what the user says."""
    if rng.random() < 0.4:
        way = rng.choice((odd_head, odd_cases))
        how, content = way.__name__, way(rng)
    else:
        how, content = damaged(sound(rng), rng, [sound(rng)], TEXT * 2)
    files = {"Made_TRAIN.ts": content}
    if rng.random() < 0.3:
        files[rng.choice(("Made_TEST.ts", "in/b.ts"))] = sound(rng)
    return how, files, rng.choice(({}, {}, {"groups": "files"}, {"rate": 20.0}))
