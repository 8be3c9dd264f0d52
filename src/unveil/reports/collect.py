"""Everything that a report says, as one table of plain values: written once as ``report.json``, from which the page is made."""

from __future__ import annotations

import datetime
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unveil.api import Run
from unveil.data.samples import Samples
from unveil.errors import Unusable
from unveil.health.verdict import Finding, summary
from unveil.provenance import code_version, machine
from unveil.reports.command import as_command, differing
from unveil.reports.decision import OURS, decide, of_run, of_study
from unveil.reports.pictures import pictures
from unveil.studies.study import Study
from unveil.training.log import read as read_log

CURVE = 240  # points of a curve
MACHINERY = ("step", "loss", "lr", "decay", "seconds", "cpu_seconds", "waited", "samples_per_second", "total")


def collect(run: Run) -> dict[str, Any]:
    """The report of a run; embeds a part of its data for the pictures."""
    log, ending = read_log(run.folder / "metrics.jsonl"), vars(run.ending)
    figures = next((row for row in reversed(log) if "embedding/width" in row), {})
    findings = [Finding(**finding) for finding in ending["findings"]]
    held = {
        "what": "run", "name": f"{run.recipe.method['name']} on {run.asked.get('data') or 'an array'}", "folder": str(run.folder),
        "kind": run.recipe.kind["name"], "method": run.recipe.method["name"], "made": str(datetime.date.today()),
        "decision": decided(run.rows, ending), "rows": run.rows, "curves": curves(log), "ending": ending, "figures": figures,
        "health": summary(findings, figures) if figures or findings else "",
        "facts": run.facts | counts(run), "recipe": run.recipe.to_json(), "with": versions()}
    if run.asked:
        held |= {"command": as_command(run.recipe, run.asked), "chosen": differing(run.recipe, run.asked["settings"]),
                 "given": list(run.asked["settings"])}
    if run.samples is not None:
        held |= pictures(run)
    return plain(held)


def decided(rows: Sequence[dict[str, Any]], ending: Mapping[str, Any]) -> dict[str, Any]:
    """The decision of a run."""
    said = asdict(decide(of_run(rows), ending["findings"], ending["status"], ending["step"]))
    if any(row["metric"] == "R2" for row in rows) and not any(row["metric"] == "accuracy" for row in rows):
        said["rest"].append("Figures are R2, the share of the variance of the targets that is explained.")
    return said


def with_rows(held: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The report of a run with further results; they replace those of the same task, features, labels, metric and place.

    Raises:
        Unusable: where it is no run's report, or the results are of other held-out samples.
    """
    if held["what"] != "run":
        raise Unusable(f"{held['folder']} holds a study, whose report takes no further results: name the folder of a run")
    if other := {row["split"] for row in rows} - {row["split"] for row in held["rows"] or rows}:
        raise Unusable(f"these results were scored on other samples (split {other.pop()}) than the report of {held['folder']}: evaluate "
                       "the run on the data and with the hold-out that it was taught with")
    place = lambda row: (row["task"], row["features"], row["labels"], row["metric"], str(row.get("at")))
    joined = list(({place(row): row for row in held["rows"]} | {place(row): row for row in rows}).values())
    return plain({**held, "rows": joined, "decision": decided(joined, held["ending"])})


def collect_study(study: Study, rows: Sequence[dict[str, Any]], held: dict[str, Any], out: Path) -> dict[str, Any]:
    """The report of a study, from its rows and their summary."""
    arms, seeds = list(held["arms"]), len({row["seed"] for row in rows})
    tables = {arm: of_study(rows, arm, study.budgets) for arm in arms}
    ours = {arm: [score.value for (way, _), score in table.items() if way == OURS[0]] for arm, table in tables.items()}
    best = max(arms, key=lambda arm: np.mean(ours[arm]) if ours[arm] else -1.0)
    first = asdict(decide(tables[best], who=best if len(arms) > 1 else "this encoder"))
    if held["verdict"]:
        first = claimed(held)
    elif held["metric"] != "accuracy":
        first = {"tone": "open", "headline": f"{held['metric']} of {len(arms)} arms; {held['direction']} is better.", "rest": []}
    elif len(arms) > 1:
        first["rest"].append(f"Of the {len(arms)} arms {best} has the highest mean; being chosen so flatters it a little.")
    return plain({
        "what": "study", "name": study.name, "question": study.question, "folder": str(out), "made": str(datetime.date.today()),
        "decision": first, "verdicts": held["verdicts"], "changed": held["differ"], "best": best,
        "metric": held["metric"], "unit": held["unit"], "direction": held["direction"],
        "columns": {str(each): study.figure.budget(each) for each in study.budgets},
        "said": {arm: asdict(decide(tables[arm], who=arm)) for arm in arms},
        "arms": held["arms"], "data": study.data, "scale": study.scale, "settings": study.settings, "differ": study.arms,
        "splits": list(dict.fromkeys(fold["split_name"] for row in rows for fold in row["folds"])), "seeds": seeds,
        "runs": [_kept(row) for row in rows], "with": versions(),
        "command": f"unveil reproduce {study.name} --seeds {seeds} --arms {','.join(arms)}"})


def claimed(held: dict[str, Any]) -> dict[str, Any]:
    """The first lines of a study that checks a claim."""
    tone = {"holds": "use", "does not hold": "avoid", "undecided": "even"}.get(held["verdict"], "open")
    rest = [f"{each['about'][:1].upper()}{each['about'][1:]}: {each['word']}. {each['why']}." for each in held["verdicts"]]
    return {"tone": tone, "label": f"{held['verdict'][:1].upper()}{held['verdict'][1:]}{' here' * (tone in ('use', 'avoid'))}",
            "headline": held["claim"], "rest": rest}


def _kept(row: dict[str, Any]) -> dict[str, Any]:
    pick = lambda held, *names: {name: held[name] for name in names}
    folds = [pick(fold, "split_name", "status", "steps", "findings", "figures") for fold in row["folds"]]
    return pick(row, "arm", "seed", "code", "date", "machine", "seconds", "cpu_seconds") | {"folds": folds}


def curves(log: Sequence[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Step and value of every figure of a log, thinned evenly; the method's own ones under ``method/``."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in log:
        for name, value in row.items():
            if isinstance(value, (int, float)) and name not in ("step", "seconds", "cpu_seconds", "waited", "decay", "total"):
                found.setdefault(name if "/" in name or name in MACHINERY else f"method/{name}", []).append((row["step"], value))
    at = lambda n: np.unique(np.linspace(0, n - 1, min(n, CURVE)).astype(int))
    return {name: [(points[i][0], _short(points[i][1])) for i in at(len(points))] for name, points in found.items()}


def counts(run: Run) -> dict[str, Any]:
    """Labelled samples of each class on both sides of the split, and what is right for who always names the most frequent one."""
    if run.parts is None or run.parts.train.labels is None:
        return {}
    sides = {side: _count(part) for side, part in (("train", run.parts.train), ("test", run.parts.test))}
    most = int(np.argmax(sides["train"])) if sides["train"] else 0
    known = sum(sides["test"])
    return {"counts": sides, "majority": sides["test"][most] / known if known else None}


def _count(samples: Samples) -> list[int]:
    return np.bincount(samples.labels[samples.labels >= 0], minlength=len(samples.classes)).tolist()


def versions() -> dict[str, str]:
    """Of what a run stands on."""
    return {"unveil": code_version(), "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
            "machine": machine()}


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def plain(held: Any) -> Any:
    """As JSON has it: tables with text keys, lists, numbers of six digits; None for what is not finite."""
    if isinstance(held, dict):
        return {str(key): plain(value) for key, value in held.items()}
    if isinstance(held, (list, tuple)):
        return [plain(value) for value in held]
    if isinstance(held, (float, np.floating)):
        return float(f"{held:.6g}") if math.isfinite(held) else None
    return int(held) if isinstance(held, np.integer) else held
