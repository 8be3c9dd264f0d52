"""Scores as a chart over label budgets and as a table of intervals: for one run, and for the arms of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unveil.reports.decision import share
from unveil.reports.figures import Line, line_chart, strip, ticks
from unveil.reports.markup import Markup, join, tag

Held = Mapping[str, Any]
Beside = Mapping[int | None, Sequence[tuple[float, str]]]
TASKS = {"linear": "Frozen features, linear probe", "network": "Whole network, trained on the labels",
         "knn": "Frozen features, nearest neighbours"}
LADDER = ("linear", "few-shot", "curve")  # one probe at other label budgets
COLUMNS = 5  # of a table, at most
WAYS = {"encoder": "this encoder", "fine-tuned": "started from this encoder", "from scratch": "from scratch",
        "statistics": "hand statistics", "MiniRocket": "MiniRocket features", "raw + PCA": "raw values + PCA",
        "random init": "same network, untrained", "features": "features"}
SHORT = {"random init": "untrained"}  # names at the end of a line, where they are not those of the rows
CHART = {("linear", "encoder"): "main", ("network", "fine-tuned"): "main thin", ("network", "from scratch"): "other",
         ("linear", "statistics"): "other", ("linear", "MiniRocket"): "other", ("linear", "raw + PCA"): "faint",
         ("linear", "random init"): "faint"}


@dataclass(frozen=True)
class Row:
    """A row of a table, or a line of a chart.

    Attributes:
        name: what is scored.
        style: class in the style sheet.
        cells: label budget -> ``value``, ``low``, ``high`` and, where it was paired, ``gain``, ``gain_low``, ``gain_high``.
    """

    name: str
    style: str
    cells: Mapping[int | None, Held]


@dataclass(frozen=True)
class Body:
    """Rows under one protocol."""

    title: str
    note: str
    rows: Sequence[Row]


def budget(each: int | None) -> str:
    """A label budget in words."""
    return "all labels" if each is None else f"{each} label{'s' * (each != 1)} a class"


def budgets_of(rows: Sequence[Held]) -> list[int | None]:
    """In order, all labels last."""
    return sorted({row["labels"] for row in rows}, key=lambda each: (each is None, each or 0))


def graded(rows: Sequence[Held]) -> list[Held]:
    """Those that have a place in chart and table: accuracies by label budget."""
    return [row for row in rows if row["task"] in (*TASKS, *LADDER) and row.get("metric", "accuracy") == "accuracy" and not row.get("at")]


def columns(rows: Sequence[Held]) -> list[int | None]:
    """Budgets for the columns of a table: those of more than the linear probe where there are too many, evenly thinned."""
    every = budgets_of(rows)
    many = budgets_of([row for row in rows if row["task"] not in LADDER[1:]]) or every
    many = every if len(every) <= COLUMNS else many
    return many if len(many) <= COLUMNS else [many[round(i * (len(many) - 1) / (COLUMNS - 1))] for i in range(COLUMNS)]


def cells_of(rows: Sequence[Held], task: str, features: str) -> dict[int | None, Held]:
    """The rows of one way of scoring, by label budget."""
    tasks, found = LADDER if task == "linear" else (task,), {}
    for row in (row for its in tasks for row in rows if (row["task"], row["features"]) == (its, features)):
        found.setdefault(row["labels"], row)
    return found


def bodies_of(rows: Sequence[Held]) -> list[Body]:
    """The rows of one encoder and its controls, a body a protocol."""
    bodies = []
    for task, title in TASKS.items():
        found = [Row(text, "ours" if name in ("encoder", "fine-tuned") else "control", cells)
                 for name, text in WAYS.items() if (cells := cells_of(rows, task, name))]
        if found:
            bodies.append(Body(title, next(iter(found[0].cells.values())).get("protocol", ""), found))
    return bodies


def lines_of(rows: Sequence[Held]) -> list[Row]:
    """The lines of one encoder and its controls, the encoder first."""
    return [Row(SHORT.get(features, features), style, cells_of(rows, task, features))
            for (task, features), style in CHART.items()]


def chart(lines: Sequence[Row], budgets: Sequence[int | None]) -> Markup | None:
    """Values over label budgets, a line a row; None where no line has two points."""
    drawn = []
    for row in lines:
        points = [(x, row.cells[each]["value"]) for x, each in enumerate(budgets) if each in row.cells]
        if len(points) > 1:
            spans = [(row.cells[each]["low"], row.cells[each]["high"]) for each in budgets if each in row.cells]
            drawn.append(Line(points, f"{row.name} {share(points[-1][1])}", row.style, dots=True, spans=spans))
    if not drawn:
        return None
    told = [f"{line.end.rsplit(' ', 1)[0]}: " + ", ".join(f"{share(y)} with {budget(budgets[x])}" for x, y in line.points)
            for line in drawn]
    below = [(x, "all" if each is None else str(each)) for x, each in enumerate(budgets)]
    about = ". ".join(["Accuracy by labels a class", *told])
    picture = line_chart(drawn, about, height=300, left=6, wide=66, below=below, form=share, most=4)
    return tag("figure", tag("h3", "Accuracy by labels a class"), picture, class_="wide")


def table(bodies: Sequence[Body], budgets: Sequence[int | None], beside: Beside) -> Markup:
    """A column a budget, all on one scale.

    Args:
        bodies: rows under their headings.
        budgets: columns.
        beside: of each budget, values with their class that go through all rows as upright lines.
    """
    cells = [cell for body in bodies for row in body.rows for cell in row.cells.values()]
    ends = [cell[end] for cell in cells for end in ("low", "high", "value") if cell[end] is not None]
    steps = ticks(*_within(ends + [value for lines in beside.values() for value, _ in lines]), 9)
    scale = _within(steps)
    paired = " paired" if any(cell.get("gain") is not None for cell in cells) else ""
    axis = tag("td", tag("span", tag("i", share(scale[0])), tag("i", share(scale[1])), class_="ends", aria_hidden="true"))
    return tag("div", tag(
        "table",
        tag("thead", tag("tr", tag("th", "features", scope="col"), [tag("th", budget(each), scope="col") for each in budgets])),
        [_body(body, budgets, beside, scale) for body in bodies],
        tag("tfoot", tag("tr", tag("td"), [axis for _ in budgets])), class_=f"scores{paired}"), class_="scroll")


def _within(values: Sequence[float]) -> tuple[float, float]:
    return max(0.0, min(values)), min(1.0, max(values))


def _body(body: Body, budgets: Sequence[int | None], beside: Beside, scale: tuple[float, float]) -> Markup:
    note = tag("span", body.note) if body.note else None
    title = tag("tr", tag("th", body.title, note, colspan=len(budgets) + 1, scope="rowgroup"), class_="task")
    cells = lambda row: [_cell(row.cells.get(each), scale, row.style, beside.get(each, ())) for each in budgets]
    return tag("tbody", title, [tag("tr", tag("th", row.name, scope="row"), cells(row), class_=row.style) for row in body.rows])


def _cell(cell: Held | None, scale: tuple[float, float], style: str, beside: Sequence[tuple[float, str]]) -> Markup:
    if cell is None:
        return tag("td")
    ends = None if cell["low"] is None else tag("span", f" from {share(cell['low'])} to {share(cell['high'])}", class_="unseen")
    return tag("td", tag("div", tag("span", share(cell["value"]), ends, _gain(cell), class_="v"),
                         strip(cell["value"], cell["low"], cell["high"], scale, style, beside), class_="cell"))


def _gain(cell: Held) -> Markup | None:
    if cell.get("gain") is None:
        return None
    low, high = cell.get("gain_low"), cell.get("gain_high")
    known = low is not None and high is not None
    span = tag("span", f", from {signed(low)} to {signed(high)}", class_="unseen") if known else None
    clear = known and (low > 0 or high < 0)
    return join(" ", tag("i", tag("span", "gain of the encoder: ", class_="unseen"), signed(cell["gain"]), span,
                         class_="gain clear" if clear else "gain"))


def signed(value: float) -> str:
    """A difference of shares, with its sign where it has one."""
    size = share(abs(value))
    return size if size == "0.00" else ("+" if value > 0 else "\N{MINUS SIGN}") + size
