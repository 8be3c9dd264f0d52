"""The sections of a study's page, each a function of the collected report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unveil.reports.markup import Markup, tag
from unveil.reports.sections import code, duration, facts_list, section
from unveil.reports.tables import LADDER, TASKS, Body, Row, bodies_of, budgets_of, cells_of, chart, lines_of, table

Held = Mapping[str, Any]
CONTROLS = {("linear", "statistics"): "hand statistics", ("network", "from scratch"): "from scratch",
            ("linear", "raw + PCA"): "raw values + PCA", ("linear", "random init"): "same network, untrained"}


def arms(held: Held) -> Markup | None:
    """All arms against the controls; None where there is one arm, or figures that have no place in the chart."""
    if len(held["arms"]) < 2 or not _charted(held):
        return None
    best, budgets = held["best"], budgets_of([line for lines in held["arms"].values() for line in lines])
    found = {arm: cells_of(lines, "linear", "encoder") for arm, lines in held["arms"].items()}
    order = sorted(found, key=lambda arm: -float(np.mean([cell["value"] for cell in found[arm].values()] or [0.0])))
    style = lambda arm: "ours" if arm == best else "control"
    ours = [Row(arm, style(arm), found[arm]) for arm in order]
    tuned = [Row(arm, style(arm), _ungained(held["arms"][arm], "network", "fine-tuned")) for arm in order]
    controls = [Row(name, "control", _ungained(held["arms"][best], *way)) for way, name in CONTROLS.items()]
    lines = [Row(row.name, "main" if row.name == best else "other", row.cells) for row in ours]
    lines += [Row(row.name, "faint", row.cells) for row in controls[:2]]
    beside = {each: [(cell["value"], "ours")] for each, cell in found[best].items()}
    bodies = [Body(title, "", [row for row in rows if row.cells]) for title, rows in (
        ("Arms: frozen encoder, linear probe", ours), ("Arms: whole network, started from the encoder", tuned),
        (f"Controls, with {best}", controls))]
    how = ["Means over seeds and splits, with 95% intervals. The ", tag("b", "upright line", class_="ours"), f" is {best} with a "
           "linear probe. An arm has to beat the controls, not only the other arms."]
    return section("arms", "Arms against controls", how, chart(lines, budgets),
                   table([body for body in bodies if body.rows], budgets, beside),
                   facts_list({arm: held["said"][arm]["headline"] for arm in order}, class_="said"))


def _charted(held: Held) -> bool:
    """Whether the arms were judged by accuracies at label budgets."""
    return held.get("metric", "accuracy") == "accuracy" and any(
        line["task"] in (*TASKS, *LADDER) for lines in held["arms"].values() for line in lines)


def _ungained(lines: list[Held], task: str, features: str) -> dict[int | None, Held]:
    return {each: {key: cell[key] for key in ("value", "low", "high")} for each, cell in cells_of(lines, task, features).items()}


def scores(held: Held) -> Markup:
    """Every arm in full: the only one open, or all folded."""
    if not _charted(held):
        return _plain(held)
    parts = []
    for arm, lines in held["arms"].items():
        budgets = budgets_of(lines)
        beside = {each: [(cell["value"], "ours")] for each, cell in cells_of(lines, "linear", "encoder").items()}
        full = chart(lines_of(lines), budgets), table(bodies_of(lines), budgets, beside)
        parts.append(full if len(held["arms"]) == 1 else tag("details", tag("summary", arm), full))
    n = next((line["n"] for lines in held["arms"].values() for line in lines), 0)
    spans = (f"Accuracy on held-out data, mean of {n} (every seed on every split), with 95% t intervals over them. Splits share "
             "training data, so the intervals are a guide.")
    alone = "Accuracy on held-out data from one seed on one split: no interval can be given."
    how = [spans if n > 1 else alone, " The small figure is the encoder's paired gain over that row, dark where its interval is "
           "clear of zero."]
    return section("scores", "Every arm in full" if len(held["arms"]) > 1 else "Features against controls", how, parts)


def _plain(held: Held) -> Markup:
    """Figures that are no accuracies, in their unit: a row an arm and way, a column a budget."""
    budgets = budgets_of([line for lines in held["arms"].values() for line in lines])
    unit = "" if held["unit"] in ("share", "1") else f" in {held['unit']}"
    text = lambda line: f"{line['value']:.4g}" + (f" [{line['low']:.4g}, {line['high']:.4g}]" if line["n"] > 1 else "")
    rows = []
    for arm, lines in held["arms"].items():
        for way in dict.fromkeys((line["features"], line["task"]) for line in lines):
            found = {line["labels"]: line for line in lines if (line["features"], line["task"]) == way}
            cells = [text(found[each]) if each in found else "" for each in budgets]
            rows.append(tag("tr", [tag("td", value) for value in (arm, *way, *cells)]))
    heads = [tag("th", name, scope="col") for name in ("arm", "features", "judged by", *(held["columns"][str(each)] for each in budgets))]
    how = (f"{held['metric']}{unit} on held-out data, {held['direction']} is better: means over seeds and splits, with 95% intervals. "
           "Splits share training data, so the intervals are a guide.")
    return section("scores", "Arms against controls", how, tag("div", tag(
        "table", tag("thead", tag("tr", heads)), tag("tbody", rows), class_="points"), class_="scroll"))


def question(held: Held) -> Markup:
    """What was asked, and of what."""
    flat = lambda settings: {f"{path}.{name}".strip("."): value for path, held in settings.items()
                             for name, value in (held if isinstance(held, Mapping) else {"": held}).items()}
    written = lambda settings: ", ".join(f"{name} {value}" for name, value in flat(settings).items())
    said = {"data": held["data"], "splits": "; ".join(held["splits"]), "seeds": held["seeds"], "scale": held["scale"]}
    said |= {"settings of all arms": written(held["settings"])} if held["settings"] else {}
    said |= {f"arm {arm}": written(settings) for arm, settings in held["differ"].items() if arm in held["arms"]}
    changed = {arm: "; ".join(f"{name} {theirs} instead of {ours}" for name, (ours, theirs) in settings.items())
               for arm, settings in held["changed"].items()}
    said |= {f"{arm} differs in": text for arm, text in changed.items() if text}
    how = "Arms share data, splits, seeds and probes. What differs between them, to the last setting, is written here."
    return section("question", "The question", how, tag("p", held["question"]), facts_list(said))


def health(held: Held) -> Markup:
    """How the runs of each arm ended."""
    said = {}
    for arm in held["arms"]:
        folds = [(run["seed"], fold) for run in held["runs"] if run["arm"] == arm for fold in run["folds"]]
        well = sum(fold["status"] == "finished" and not fold["findings"] for _, fold in folds)
        rank = [fold["figures"]["embedding/effective_rank"] for _, fold in folds if "embedding/effective_rank" in fold["figures"]]
        ranks = f"; effective rank of the embedding {min(rank):.3g} to {max(rank):.3g}" if rank else ""
        faults = [tag("li", tag("b", f"seed {seed}, {fold['split_name']}"), finding["sentence"])
                  for seed, fold in folds for finding in fold["findings"]]
        said[arm] = f"healthy in {well} of {len(folds)} runs{ranks}", tag("ul", faults, class_="faults") if faults else None
    return section("health", "Health", "Read from the curves of every run by fixed rules, without labels.", facts_list(said))


def repeat(held: Held) -> Markup:
    """How to run it again, and where these rows are from."""
    heads = [tag("th", name, scope="col") for name in ("arm", "seed", "training", "processor", "code", "date", "machine")]
    cells = lambda run: (run["arm"], run["seed"], duration(run["seconds"]), duration(run["cpu_seconds"]), run["code"],
                         run["date"], run["machine"])
    rows = [tag("tr", [tag("td", value) for value in cells(run)]) for run in held["runs"]]
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows), class_="points")
    how = ["Finished rows are kept and not made again; another ", tag("code", "--results"), " folder makes all anew."]
    again = code(held["command"], "command that repeats the study")
    return section("repeat", "Repeat it", how, again, tag("div", table, class_="scroll"))


SECTIONS = (arms, scores, question, health, repeat)
