"""Prints a study and leaves its results in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from unveil.studies.study import Study
from unveil.studies.summary import ACCURACY, Figure, decimals, facts, gain, mean, scores
from unveil.studies.verdict import as_table, differences, overall, verdicts
from unveil.training.checkpoint import write_json
from unveil.wording import escape

PLAIN = ("random init", "raw + PCA", "statistics", "MiniRocket")


def probes(study: Study) -> list[tuple[str, str]]:
    """Features and tasks that are told of a study, in order."""
    task, neighbours = study.task, [("encoder", "knn")] if study.figure == ACCURACY else []
    frozen = [] if task == "network" else [("encoder", task), *neighbours, *((name, task) for name in PLAIN)]
    return list(dict.fromkeys([*frozen, *study.controls, ("from scratch", "network"), ("fine-tuned", "network")]))


def summarise(study: Study, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals for every arm, way and budget, the encoder's paired gains over the controls, and what is to be said of the
    claim."""
    found, figure, (unit, sign) = verdicts(study, rows), study.figure, facts(rows, study.figure)
    held: dict[str, Any] = {"study": study.name, "question": study.question, "claim": study.claim, "arms": {},
                            "verdict": overall(found) if found else None, "verdicts": as_table(found),
                            "metric": figure.metric, "unit": unit, "direction": "higher" if sign > 0 else "lower",
                            "differ": differences(rows, study.arm or next(iter(study.arms)))}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        lines = []
        ours = {each: scores(rows, arm, figure.task, figure.taught, each, figure.metric) for each in study.budgets}
        for features, task in probes(study):
            for each in study.budgets:
                found = scores(rows, arm, task, features, each, figure.metric)
                if not found:
                    continue
                line = {"features": features, "task": task, "labels": each, "n": len(found)}
                line |= dict(zip(("value", "low", "high"), mean(found)))
                if features != figure.taught and ours[each].keys() & found.keys():
                    line |= dict(zip(("gain", "gain_low", "gain_high"), gain(ours[each], found, sign)))
                lines.append(line)
        held["arms"][arm] = lines
    return held


def present(study: Study, rows: list[dict[str, Any]], out: Path, console: Console | None) -> dict[str, Any]:
    """Writes ``results.json``, prints table and verdict where there is a console, and returns what :func:`summarise` made."""
    held = summarise(study, rows)
    write_json(out / "results.json", held | {"rows": rows})
    if console:
        console.print(_table(study, held))
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


def _table(study: Study, held: dict[str, Any]) -> Table:
    """Arms, each with its gain over the untaught network, above the controls."""
    arms, figure = held["arms"], study.figure
    n = max((line["n"] for lines in arms.values() for line in lines), default=0)
    unit = "" if held["unit"] in ("share", "1") else f" in {held['unit']}"
    table = Table(title=f"{figure.metric}{unit} on held-out data, mean of {n} (gain over the untaught network)", title_justify="left")
    for heading in ("features", "judged by"):
        table.add_column(heading)
    for each in study.budgets:
        short = "all labels" if each is None else f"{each} a class"
        table.add_column(short if figure == ACCURACY else figure.budget(each), justify="right")
    places = decimals(figure, study.smallest)
    for features, task in probes(study):
        for arm in arms if features in ("encoder", "fine-tuned") else [study.arm or next(iter(arms))]:
            cells = [_cell(arms[arm], features, task, each, figure, places) for each in study.budgets]
            name = arm if features == "encoder" else f"{arm}, {features}" if features == "fine-tuned" else features
            if any(cells):
                table.add_row(escape(name), task, *cells, style="bold" if (features, task) == (figure.taught, figure.task) else None)
    return table


def _cell(lines: list[dict], features: str, task: str, each: int | None, figure: Figure, places: int) -> str:
    found = {(line["features"], line["task"]): line for line in lines if line["labels"] == each}
    line, base = found.get((features, task)), found.get((figure.untaught, figure.task))
    if line is None:
        return ""
    ours = (features, task) == (figure.taught, figure.task) and base and "gain" in base
    return f"{line['value']:.{places}f}" + (f" ({base['gain']:+.{places}f})" if ours else "")
