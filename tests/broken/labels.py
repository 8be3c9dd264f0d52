"""Broken CSV files of labels and targets beside sound pictures."""

from __future__ import annotations

from random import Random

from broken import pictures
from broken.damage import damaged
from broken.words import CELLS, TEXT


def broken(rng: Random) -> tuple[str, dict[str, bytes], dict]:
    """What was done, pictures with a file of labels, and that it holds labels or targets."""
    files = {f"p/{i}.png": pictures.sound()["a.png"] for i in range(5)}
    names = rng.random() < 0.7
    lines = ["name,label"] * (rng.random() < 0.5) + [(f"{i}.png," if names else "") + rng.choice(("a", "b", "1.5",
                                                                                                  rng.choice(CELLS))) for i in range(5)]
    content = "\n".join(lines).encode("utf-8", "replace") + b"\n"
    how, content = damaged(content, rng, [content], TEXT * 2) if rng.random() < 0.8 else ("cells", content)
    return how, files | {"beside.csv": content}, {rng.choice(("labels", "targets")): "beside.csv"}
