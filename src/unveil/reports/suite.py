"""What the further tasks say: robustness as curves, everything else as one small table a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from unveil.reports.decision import share
from unveil.reports.figures import Line, line_chart, number
from unveil.reports.markup import Markup, join, tag
from unveil.reports.sections import section
from unveil.reports.tables import SHORT, WAYS, budget, graded

Held = Mapping[str, Any]
TITLES = {"attentive": "Attentive probe on local features", "partial": "Last blocks trained on the labels",
          "dense": "Labels of single tokens", "forces": "Forces on atoms", "regression": "Regression",
          "cluster": "Clusters found without labels", "retrieve": "Retrieval", "calibration": "Calibration of the linear probe",
          "shift": "From known groups to new ones", "linear": "Linear probe", "network": "Whole network, trained on what is known",
          "noisy-nodes": "Whole network, trained with noise on the places", "forest": "Random forest", "tenfold": "Folds over all samples",
          "subjects": "Each group left out once", "events": "Events in recordings", "forecast": "What comes next",
          "guided": "Head guided by texts of classes"}
BESIDE = 2  # controls in a robustness chart


def robustness(held: Held) -> Markup | None:
    """Accuracy by severity, a small chart a corruption and their mean at large."""
    rows = [row for row in held["rows"] if "severity" in row.get("at", {})]
    if not rows:
        return None
    controls = {row["features"] for row in rows} - {"encoder"}
    mean = {name: fmean(row["value"] for row in rows if row["features"] == name) for name in controls}
    ways = ["encoder", *sorted(mean, key=mean.get, reverse=True)[:BESIDE]]
    within = [row["value"] for row in rows if row["features"] in ways]
    kinds = sorted({row["at"]["corruption"] for row in rows}, key=lambda name: (name != "mean", name))
    of = lambda kind: [row for row in rows if row["at"]["corruption"] == kind]
    charts = [_severities(of(kind), kind, ways, within) for kind in kinds]
    whole = [charts.pop(0)] if kinds[0] == "mean" else []
    lines = ["this encoder", *(WAYS.get(way, way) for way in ways[1:])]
    also = [f", {tone} grey {name}" for tone, name in zip(("strong", "faint"), lines[1:], strict=False)]
    row = of(kinds[0])[0]
    metric, protocol = (f"{row[name][:1].upper()}{row[name][1:]}" for name in ("metric", "protocol"))
    how = [f"{metric} on held-out samples that were made worse, from 1 (hardly) to 5 (as bad as it gets). "
           f"{protocol}. ", tag("b", "Orange", class_="ours"),
           " is this encoder", also, "; all charts share one scale. Where below a "
           "chart there are other figures than 1 to 5, they say how strong the corruption is. Upright bars are 95% intervals."]
    return section("robustness", "When the data get worse", how, whole, tag("div", charts, class_="multiples"))


def _severities(rows: Sequence[Held], kind: str, ways: Sequence[str], within: Sequence[float]) -> Markup:
    lines, told, large = [], [], kind == "mean"
    for way, style in zip(ways, ("main", "other", "faint"), strict=False):
        found = {row["at"]["severity"]: row for row in sorted(rows, key=lambda row: row["at"]["severity"]) if row["features"] == way}
        if found:
            last, name = list(found.values())[-1]["value"], SHORT.get(way, way)
            lines.append(Line([(x, row["value"]) for x, row in found.items()], f"{name} {share(last)}" if large else share(last), style,
                              dots=True, spans=[(row["low"], row["high"]) for row in found.values()]))
            told.append(f"{name}: " + ", ".join(f"{share(row['value'])} at {x}" for x, row in found.items()))
    ends = sorted({x for line in lines for x, _ in line.points})
    level = {row["at"]["severity"]: number(row["at"]["level"]) for row in rows if "level" in row["at"]}
    below = [(x, "clean" if x == 0 else level.get(x, str(x))) for x in ends]
    shape = dict(height=260, left=6, wide=66, most=4) if large else {}
    chart = line_chart(lines, f"{kind.capitalize()}, by severity. {'; '.join(told)}", below=below, form=share, within=within, **shape)
    title = "Mean of all corruptions, by severity" if large else kind.capitalize()
    what = next((row["at"]["levels in"] for row in rows if "levels in" in row["at"]), None)
    return tag("figure", tag("h3", title, tag("span", what) if what else None), chart, class_="wide" if large else None)


def further(held: Held) -> Markup | None:
    """Every task that has no place of its own: metrics down, ways of describing a sample across."""
    shown = {id(row) for row in graded(held["rows"])}
    rows = [row for row in held["rows"] if id(row) not in shown and "severity" not in row.get("at", {})]
    if not rows:
        return None
    how = "Values with 95% intervals; an arrow says which way is better. The protocol stands beside each title."
    tables = [_task([row for row in rows if row["task"] == task]) for task in dict.fromkeys(row["task"] for row in rows)]
    return section("further", "Further tasks", how, tables)


def _task(rows: Sequence[Held]) -> Markup:
    ways = sorted({row["features"] for row in rows}, key=lambda way: _place(WAYS, way))
    lines: dict[tuple, dict[str, Held]] = {}
    for row in rows:
        at = ", ".join(f"{name} {value}" for name, value in row.get("at", {}).items())
        lines.setdefault((row["metric"], row["unit"], row["direction"], row["labels"], at), {})[row["features"]] = row
    heads = [tag("th", WAYS.get(text, text), scope="col", class_="n" if text == "n" else None) for text in ("metric", *ways, "n")]
    body = [tag("tr", _metric(*line), [_value(found.get(way), way) for way in ways],
                tag("td", f"{next(iter(found.values()))['n_test']:,}", class_="n")) for line, found in lines.items()]
    task = rows[0]["task"]
    title = TITLES.get(task, task.capitalize())
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", body), class_="figures")
    return join(tag("h3", title), tag("p", rows[0]["protocol"], class_="more"),
                tag("div", table, class_="scroll", role="region", aria_label=title, tabindex=0))


def _place(names: Iterable[str], name: str) -> tuple[int, str]:
    order = list(names)
    return (order.index(name) if name in order else len(order), name)


def _metric(metric: str, unit: str, direction: str, labels: int | None, at: str) -> Markup:
    higher = direction == "higher"
    arrow = tag("i", "\N{UPWARDS ARROW}" if higher else "\N{DOWNWARDS ARROW}", aria_hidden="true", class_="arrow")
    more = ", ".join(filter(None, ["" if unit in ("share", "1") else unit, budget(labels) if labels else "", at]))
    return tag("th", metric, " ", arrow, tag("span", f", {direction} is better", class_="unseen"),
               tag("span", more) if more else None, scope="row")


def _value(row: Held | None, way: str) -> Markup:
    if row is None:
        return tag("td")
    short = row["unit"] == "share" or 0.1 <= abs(row["value"]) < 10
    text = lambda value: f"{abs(value):.2f}".replace("0.", ".", 1) if short else number(abs(value))
    form = lambda value: "\N{MINUS SIGN}" * (value < 0) + text(value)
    span = None if row["low"] is None else tag("span", f"[{form(row['low'])}, {form(row['high'])}]")
    return tag("td", join(tag("b", form(row["value"])), span), class_="ours" if way in ("encoder", "fine-tuned") else None)
