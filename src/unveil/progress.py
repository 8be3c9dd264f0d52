"""Progress with time left: a bar in a terminal, a line every tenth elsewhere, nothing for machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(silent: bool) -> Iterator[Callable[[dict], None]]:
    """A function that is told each logged row of training."""
    if silent:
        yield lambda row: None
    elif sys.stderr.isatty():
        with _bar() as bar:
            yield _in_terminal(bar)
    else:
        yield _as_lines()


def figures(row: dict) -> str:
    """What matters of a row: loss, effective rank of the embedding, speed."""
    parts = [f"loss {row['loss']:.3f}"]
    if "embedding/rankme" in row:
        parts.append(f"rank {row['embedding/rankme']:.0f}")
    if "embedding/knn" in row:
        parts.append(f"kNN {row['embedding/knn']:.2f}")
    return "  ".join([*parts, f"{row['samples_per_second']:.0f}/s"])


def _bar() -> Progress:
    from rich.console import Console
    return Progress(TextColumn("{task.completed:.0f}/{task.total:.0f}"), BarColumn(24), TimeRemainingColumn(),
                    TextColumn("{task.description}"), console=Console(stderr=True), transient=True)


def _in_terminal(bar: Progress) -> Callable[[dict], None]:
    task = bar.add_task("", total=None)

    def show(row: dict) -> None:
        bar.update(task, completed=row["step"], total=row["total"], description=figures(row))

    return show


def _as_lines() -> Callable[[dict], None]:
    last = [-1]

    def show(row: dict) -> None:
        tenth = 10 * row["step"] // row["total"]
        if tenth != last[0]:
            last[0] = tenth
            left = row["seconds"] * (row["total"] - row["step"]) / row["step"]
            print(f"step {row['step']}/{row['total']}  {figures(row)}  {left:.0f} s left", file=sys.stderr, flush=True)

    return show
