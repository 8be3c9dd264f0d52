"""Broken sets of graphs in the text files of the TU collection."""

from __future__ import annotations

from random import Random

from broken.damage import damaged
from broken.words import CELLS, TEXT


def sound(rng: Random) -> dict[str, bytes]:
    """A few paths and rings, with labels of everything."""
    sizes = [rng.randrange(1, 6) for _ in range(rng.choice((1, 4, 8)))]
    owner, edges = [i for i, size in enumerate(sizes, 1) for _ in range(size)], []
    for start, size in zip([sum(sizes[:i]) for i in range(len(sizes))], sizes):
        edges += [(start + i, start + i + 1) for i in range(1, size)]
    edges += [(b, a) for a, b in edges]
    lines = lambda rows: "".join(f"{row}\n" for row in rows).encode()
    held = {"A": lines(f"{a}, {b}" for a, b in edges), "graph_indicator": lines(owner),
            "graph_labels": lines(i % 2 for i in range(len(sizes))),
            "node_labels": lines(rng.randrange(3) for _ in owner), "node_attributes": lines(f"{rng.gauss(0, 1):.3f}, 1" for _ in owner),
            "edge_labels": lines(rng.randrange(2) for _ in edges), "graph_attributes": lines(rng.gauss(0, 1) for _ in sizes)}
    kept = {"A", "graph_indicator"} | {name for name in held if rng.random() < 0.6}
    return {f"SET_{name}.txt": content for name, content in held.items() if name in kept}


def odd_numbers(content: bytes, rng: Random) -> bytes:
    """Numbers that are none, or of no node."""
    words = (*CELLS, "0", "-1", "99", "9" * 30, "1.5", "1e3", "1,1", "1 1")
    lines = content.split(b"\n")
    for _ in range(rng.choice((1, 1, 5))):
        lines[rng.randrange(len(lines))] = rng.choice(words).encode("utf-8", "replace")
    return b"\n".join(lines)


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, the files, what the user says."""
    files, done = sound(rng), []
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice([name for name in sorted(files) if files[name]])
        if rng.random() < 0.1 and len(files) > 1:
            del files[name]
            done.append(f"without {name}")
        else:
            how, files[name] = damaged(files[name], rng, [held for held in files.values() if held], (odd_numbers, odd_numbers, *TEXT))
            done.append(f"{name}: {how}")
    return "; ".join(done), files, rng.choice(({}, {}, {}, {"targets": "1"}, {"labels": "2"}, {"labels": "folders"}))
