"""The log of a run: JSON lines while it goes, a table at its end, and others' loggers beside them."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path

from unveil.training.checkpoint import unwritable, write_atomic
from unveil.training.loggers import Careful


class Log:
    """Rows of figures by step.

    Args:
        folder: of the run's checkpoints' parent; None writes nothing.
        start: rows beyond this step are from before a kill and are dropped.
        logger: ``"wandb"``, ``"mlflow"`` or ``"none"``.
        say: tells the user a sentence.

    Attributes:
        kept: earlier rows of the same run.
    """

    def __init__(self, folder: Path | None, start: int = 0, logger: str = "none", say: Callable[[str], None] = lambda text: None):
        self.folder = folder.parent if folder else None
        self.path = self.folder / "metrics.jsonl" if folder else None
        self.start, self.say, self.kept, self.loggers = start, say, [], []
        self.names = ["tensorboard"] * bool(importlib.util.find_spec("tensorboard")) + [logger] * (logger != "none")

    def __enter__(self) -> Log:
        if self.path:
            self.kept = [row for row in read(self.path) if row["step"] <= self.start]
            write_atomic(self.path, "".join(json.dumps(row) + "\n" for row in self.kept).encode())
            self.stream = open(self.path, "a")
            self.loggers = [Careful(name, self.folder, self.start, self.say) for name in self.names]
        return self

    def write(self, row: dict) -> None:
        if self.path:
            try:
                self.stream.write(json.dumps(row) + "\n")
                self.stream.flush()
            except OSError as why:
                raise unwritable(self.path, why) from why
        figures = {name: value for name, value in row.items() if isinstance(value, float)}
        for logger in self.loggers:
            logger.log(row["step"], figures)

    def __exit__(self, *error) -> None:
        if self.path:
            with contextlib.suppress(OSError):
                self.stream.close()
            rows = read(self.path)
            table = io.StringIO()
            writer = csv.DictWriter(table, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)
            write_atomic(self.path.with_suffix(".csv"), table.getvalue().encode())
        for logger in self.loggers:
            logger.close(failed=error[0] is not None)


def read(path: Path) -> list[dict]:
    """Rows of a log; a last line that a kill cut short is left out."""
    rows = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
    return rows
