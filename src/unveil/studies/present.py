"""Prints a study and leaves its results in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from unveil.studies.study import Study
from unveil.studies.summary import gain, mean, scores
from unveil.training.checkpoint import write_json

PROBES = (("encoder", "linear"), ("encoder", "knn"), ("random init", "linear"), ("raw + PCA", "linear"), ("statistics", "linear"),
          ("from scratch", "network"), ("fine-tuned", "network"))


def summarise(study: Study, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals for every arm, way and budget, and the encoder's paired gains over the controls."""
    held: dict[str, Any] = {"study": study.name, "question": study.question, "arms": {}}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        lines, ours = [], {each: scores(rows, arm, "linear", "encoder", each) for each in study.budgets}
        for features, task in PROBES:
            for each in study.budgets:
                found = scores(rows, arm, task, features, each)
                if not found:
                    continue
                line = {"features": features, "task": task, "labels": each, "n": len(found)}
                line |= dict(zip(("value", "low", "high"), mean(found)))
                if features != "encoder":
                    line |= dict(zip(("gain", "gain_low", "gain_high"), gain(ours[each], found)))
                lines.append(line)
        held["arms"][arm] = lines
    return held


def present(study: Study, rows: list[dict[str, Any]], out: Path, console: Console | None) -> dict[str, Any]:
    """Writes ``results.json``, prints the tables where there is a console, and returns what :func:`summarise` made."""
    held = summarise(study, rows)
    write_json(out / "results.json", held | {"rows": rows})
    for arm, lines in held["arms"].items() if console else ():
        console.print(_table(study, arm, lines))
    return held


def _table(study: Study, arm: str, lines: list[dict]) -> Table:
    n = lines[0]["n"]
    table = Table(title=f"{arm}: accuracy on held-out data, mean of {n} (gain of the encoder over it)", title_justify="left")
    for heading in ("features", "judged by"):
        table.add_column(heading)
    for each in study.budgets:
        table.add_column("all labels" if each is None else f"{each} a class", justify="right")
    for features, task in dict.fromkeys((line["features"], line["task"]) for line in lines):
        cells = []
        for each in study.budgets:
            found = [line for line in lines if (line["features"], line["task"], line["labels"]) == (features, task, each)]
            cells.append("".join(f"{line['value']:.3f}" + (f" ({line['gain']:+.3f})" if "gain" in line else "") for line in found))
        table.add_row(features, task, *cells, style="bold" if features == "encoder" else None)
    return table
