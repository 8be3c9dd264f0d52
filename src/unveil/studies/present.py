"""Prints a study and leaves its results in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from unveil.studies.study import Study
from unveil.studies.summary import gain, mean, scores
from unveil.studies.verdict import as_table, differences, overall, verdicts
from unveil.training.checkpoint import write_json
from unveil.wording import escape

PROBES = (("encoder", "linear"), ("encoder", "knn"), ("random init", "linear"), ("raw + PCA", "linear"), ("statistics", "linear"),
          ("from scratch", "network"), ("fine-tuned", "network"))


def summarise(study: Study, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals for every arm, way and budget, the encoder's paired gains over the controls, and what is to be said of the
    claim."""
    found = verdicts(study, rows)
    held: dict[str, Any] = {"study": study.name, "question": study.question, "claim": study.claim, "arms": {},
                            "verdict": overall(found) if found else None, "verdicts": as_table(found),
                            "differ": differences(rows, study.arm or next(iter(study.arms)))}
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
    """Writes ``results.json``, prints table and verdict where there is a console, and returns what :func:`summarise` made."""
    held = summarise(study, rows)
    write_json(out / "results.json", held | {"rows": rows})
    if console:
        console.print(_table(study, held["arms"]))
        _say_verdict(held, console)
    return held


def _say_verdict(held: dict[str, Any], console: Console) -> None:
    for arm, settings in held["differ"].items():
        text = "; ".join(f"{name} {theirs} instead of {ours}" for name, (ours, theirs) in settings.items())
        console.print(escape(f"{arm} differs: {text or 'in nothing'}"))
    if not held["verdicts"]:
        console.print("no verdict: " + ("two seeds at least are needed" if held["claim"] else "nothing was claimed"))
        return
    console.print(f"\n[bold]{escape(held['claim'])}[/]\n[bold]{held['verdict']}[/]")
    for verdict in held["verdicts"]:
        console.print(escape(f"  {verdict['about']}: {verdict['word']}. {verdict['why']}"))


def _table(study: Study, arms: dict[str, list[dict]]) -> Table:
    """Arms, each with its gain over the untaught network, above the controls."""
    n = next(iter(arms.values()))[0]["n"]
    table = Table(title=f"accuracy on held-out data, mean of {n} (gain over the untaught network)", title_justify="left")
    for heading in ("features", "judged by"):
        table.add_column(heading)
    for each in study.budgets:
        table.add_column("all labels" if each is None else f"{each} a class", justify="right")
    for features, task in PROBES:
        for arm in arms if features in ("encoder", "fine-tuned") else [study.arm or next(iter(arms))]:
            cells = [_cell(arms[arm], features, task, each) for each in study.budgets]
            name = arm if features == "encoder" else f"{arm}, {features}" if features == "fine-tuned" else features
            if any(cells):
                table.add_row(escape(name), task, *cells, style="bold" if features == "encoder" and task == "linear" else None)
    return table


def _cell(lines: list[dict], features: str, task: str, each: int | None) -> str:
    found = {(line["features"], line["task"]): line for line in lines if line["labels"] == each}
    line, base = found.get((features, task)), found.get(("random init", "linear"))
    if line is None:
        return ""
    return f"{line['value']:.3f}" + (f" ({base['gain']:+.3f})" if (features, task) == ("encoder", "linear") and base else "")
