"""What all commands say and read alike."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unveil.errors import Unusable

OUT, ERR = (Console(stderr=errors, highlight=False, emoji=False, soft_wrap=True) for errors in (False, True))


def command(commands, name: str, run: Callable, summary: str, examples: str, judged: bool = False, data: bool = False):
    """Adds a command with the options that all have, and those of commands that open or judge data."""
    command = commands.add_parser(name, help=summary, usage=argparse.SUPPRESS, formatter_class=argparse.RawDescriptionHelpFormatter,
                                  description=f"examples:\n{examples}\n\n{summary}")
    command.set_defaults(run=run, command=name)
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    if data:
        command.add_argument("--kind", help="of the data; detected where it is certain")
        command.add_argument("--labels", help="folders, the name of a column, or a CSV file of names and labels")
        command.add_argument("--groups", help="column of subjects or recordings, for honest splits")
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
    return Options(kind=given.kind, labels=given.labels, groups=given.groups, time=given.time, rate=given.rate, layout=given.layout)


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


def table(rows: Sequence[dict]) -> Table:
    """Accuracy by features and labels a class."""
    budgets = list(dict.fromkeys(row["labels"] for row in rows))
    shown = Table(title="accuracy on held-out data", title_justify="left")
    shown.add_column("features")
    shown.add_column("judged by")
    for each in budgets:
        shown.add_column("all labels" if each is None else f"{each} a class", justify="right")
    for name, task in dict.fromkeys((row["features"], row["task"]) for row in rows):
        found = {row["labels"]: row for row in rows if (row["features"], row["task"]) == (name, task)}
        cells = [f"{found[each]['value']:.3f}" if each in found else "" for each in budgets]
        shown.add_row(name, task, *cells, style="bold" if name == "encoder" else None)
    return shown
