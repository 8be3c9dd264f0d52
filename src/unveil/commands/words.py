"""What all commands say and read alike."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from textwrap import fill
from typing import Any

from rich.console import Console, Group
from rich.table import Table

from unveil.errors import Unusable
from unveil.wording import escape

OF_CLASSES = ("accuracy", "balanced accuracy", "kappa", "ROC-AUC")  # metrics that many tasks have at the same label budgets
OUT, ERR = (Console(stderr=errors, highlight=False, emoji=False, soft_wrap=True) for errors in (False, True))


def command(commands, name: str, run: Callable, summary: str, examples: str, judged: bool = False, data: bool = False):
    """Adds a command with the options that all have, and those of commands that open or judge data."""
    command = commands.add_parser(name, help=summary, usage=argparse.SUPPRESS, formatter_class=argparse.RawDescriptionHelpFormatter,
                                  description=f"examples:\n{examples}\n\n{summary}")
    command.set_defaults(run=run, command=name)
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    if data:
        command.add_argument("--kind", help="of the data; detected where it is certain")
        command.add_argument("--labels", help="folders, annotations of recordings, the name of a column, or a CSV file of names and labels")
        command.add_argument("--targets", help="column of numbers to predict, or a CSV file of names and numbers")
        command.add_argument("--descriptions", metavar="FILE", help="CSV file of classes and a sentence each, for tasks that read texts")
        command.add_argument("--groups", help="column of subjects or recordings, for honest splits; or files, folders; degree of graphs; "
                                               "windows keeps none")
        command.add_argument("--time", help="column of time stamps")
        command.add_argument("--rate", type=float, help="samples a second, where the source does not say")
        command.add_argument("--layout", choices=["hwc", "chw", "ct", "tc"], help="axes of a sample in an array")
    if judged:
        command.add_argument("--hold-out", metavar="GROUPS", help="numbers of the groups to score on, such as 0,1,2")
        command.add_argument("--budgets", default="1,5,20,all", help="labels a class to judge with (default %(default)s)")
        command.add_argument("--frozen", action="store_true", help="judge without training networks on the labels")
        command.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    return command


def options_of(given):
    """What the user said of the data."""
    from unveil.data.options import Options
    return Options(kind=given.kind, labels=given.labels, targets=given.targets, groups=given.groups, time=given.time, rate=given.rate,
                   layout=given.layout, descriptions=given.descriptions)


def numbers(text: str | None) -> tuple[int, ...] | None:
    """``0,1,2``."""
    try:
        return None if text is None else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise Unusable(f"{text!r} is no list of numbers such as 0,1,2") from None


def budgets(text: str) -> tuple[int | None, ...]:
    """``1,5,all``."""
    budgets = tuple(None if part.strip() == "all" else numbers(part)[0] for part in text.split(","))
    if any(each is not None and each < 1 for each in budgets):
        raise Unusable(f"--budgets {text!r}: numbers of labels a class begin at 1")
    return budgets


def print_json(held: Any) -> None:
    """One object; what is not finite becomes null, which every reader of JSON knows."""
    from unveil.reports.collect import plain
    print(json.dumps(plain(held), allow_nan=False))


def say(given) -> Callable[[str], None]:
    """How progress is told: on the error stream, by the first process alone."""
    from unveil.parts.distributed import helper
    return (lambda text: None) if given.json or helper() else (lambda text: ERR.print(f"[dim]{escape(text)}[/]"))


def print_faults(faults: dict[str, str]) -> None:
    """The first of what was set aside."""
    for name, why in list(faults.items())[:5]:
        OUT.print(f"[yellow]set aside:[/] {escape(name)}: {escape(why)}")
    if len(faults) > 5:
        OUT.print(f"[yellow]set aside:[/] {len(faults) - 5} more")


def table(rows: Sequence[dict]) -> Group:
    """A table a task, a row a way of describing samples; accuracies at the same label budgets share one. Of corruptions, their mean."""
    rest, tables = [row for row in rows if row["at"].get("corruption", "mean") == "mean"], []
    while rest:
        columns = _columns(rest, _bunch(rest[0]))
        mine = {bunch for bunch in dict.fromkeys(map(_bunch, rest)) if _columns(rest, bunch) <= columns}
        mine = mine if _plain(columns) else {_bunch(rest[0])}
        tables.append(_table([row for row in rest if _bunch(row) in mine]))
        rest = [row for row in rest if _bunch(row) not in mine]
    return Group(*tables)


def _column(row: dict) -> tuple[tuple[str, Any], ...]:
    """What tells a figure from others of the same features and task."""
    arrow = " \N{DOWNWARDS ARROW}" if row["direction"] == "lower" else ""
    return ("metric", row["metric"] + arrow), ("labels a class", "all" if row["labels"] is None else str(row["labels"])), *row["at"].items()


def _bunch(row: dict) -> tuple[str, str]:
    """What stands in one table: a task, each of its plain figures of classes apart from what else it says."""
    return row["task"], row["metric"] if row["metric"] in OF_CLASSES and not row["at"] else ""


def _columns(rows: Sequence[dict], bunch: tuple[str, str]) -> set[tuple]:
    return {_column(row) for row in rows if _bunch(row) == bunch}


def _plain(columns: Iterable[tuple]) -> bool:
    return len({column[0][1] for column in columns}) == 1 and all(len(column) == 2 for column in columns)


def _table(rows: Sequence[dict]) -> Table:
    columns, tasks = list(dict.fromkeys(map(_column, rows))), list(dict.fromkeys(row["task"] for row in rows))
    found = {fact: {held for column in columns for name, held in column if name == fact} for fact in dict(sum(columns, ()))}
    differ = [fact for fact, held in found.items() if len(held) > 1]
    title = "held-out data" if "metric" in differ else f"{columns[0][0][1]} on held-out data"
    by = " and ".join(fact for fact in differ if fact in ("labels a class", "severity"))
    alone = f"{tasks[0]}: " if len(tasks) == 1 else ""
    shown = Table(title=f"{alone}{title} by {by}" if by else alone + title, title_justify="left", caption_justify="left",
                  caption=fill(rows[0]["protocol"], OUT.width) + "\n" if alone else "")
    shown.add_column("features")
    if len(tasks) > 1:
        shown.add_column("judged by")
    for column in columns:
        shown.add_column(" ".join(str(held) for fact, held in column if fact in differ) or column[1][1], justify="right")
    for name, task in dict.fromkeys((row["features"], row["task"]) for row in rows):
        at = {_column(row): row for row in rows if (row["features"], row["task"]) == (name, task)}
        cells = [f"{at[column]['value']:.3f}" if column in at else "" for column in columns]
        shown.add_row(name, *[task] * (len(tasks) > 1), *cells, style="bold" if name == "encoder" else None)
    return shown
