"""``unveil inspect``."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from unveil.commands.words import command, numbers, options_of, print_json, say
from unveil.errors import Unusable
from unveil.wording import escape

CONSOLE = Console(highlight=False, emoji=False)  # wraps, as sentences here stand in columns
STYLES = {"serious": "bold red", "warning": "yellow", "note": "cyan"}
SHOWN = 8  # channels, classes
NAMED = 3  # pieces of evidence


def add(commands) -> None:
    new = command(commands, "inspect", run, "What is in a data set: figures, damaged files, copies, leaks, balance of labels.",
                  "  unveil inspect photos/ --labels folders\n  unveil inspect watch --hold-out 0,1,2 --kind.window 256", data=True)
    new.set_defaults(settings=True)
    new.add_argument("data", help="folder, file, built-in set, or hf:NAME")
    new.add_argument("--hold-out", metavar="GROUPS", help="numbers of the groups that would be scored on, such as 0,1,2")
    new.add_argument("--seed", type=int, default=0, help="of the choice of what is held out (default 0)")


def run(given, settings) -> None:
    from unveil import api
    if wrong := [name for name in settings if not name.startswith("kind.")]:
        raise Unusable(f"--{wrong[0]} has no say in unveil inspect; settings of the kind have, such as --kind.window 64")
    found = api.inspect(given.data, hold_out=numbers(given.hold_out), seed=given.seed, options=options_of(given),
                        settings={name.removeprefix("kind."): value for name, value in settings.items()}, say=say(given))
    print_json(found) if given.json else _print(given.data, found)


def _print(data: str, found: dict) -> None:
    several = lambda count, what: f"{count:,} {what}{'s' * (count != 1)}"
    grid = f"{' x '.join(map(str, found['shape']))} ({', '.join(found['axes'])}), {several(len(found['channels']), 'channel')}"
    facts = Table.grid(padding=(0, 2))
    facts.add_row("[bold]data", f"[bold]{escape(data)}[/], {found['kind']}")
    facts.add_row("samples", f"{found['samples']:,} of {grid if found['shape'] else found['looks']}")
    if found["groups"]:
        facts.add_row("groups", f"{found['groups']:,}")
    if found["split"]:
        facts.add_row("split", f"{escape(found['split']['name'])}: {found['split']['train']:,} to learn from, "
                               f"{found['split']['test']:,} to score on")
    if found["order"]:
        facts.add_row("order", f"{found['order']} (unveil shuffles; a split by place would not)")
    how = found["compared"]
    usual = f" (its eighth most alike one: {how['usual']:.1%})" if "usual" in how else ""
    alike = f"one that leaves at most {how['unexplained']:.2%} of another's variance unexplained{usual}" if found["shape"] else \
        "the same rows, values and edges, in any order"
    facts.add_row("copies", f"looked for among {several(how['samples'], 'sample')}: {alike}")
    CONSOLE.print(facts)
    CONSOLE.print(_channels(found["channels"]))
    if found["classes"]:
        CONSOLE.print(_classes(found["classes"]))
    CONSOLE.print(_findings(found["findings"]))


def _channels(channels: list[dict]) -> Table:
    table = Table(title="channels", title_justify="left")
    for name in ("channel", "mean", "deviation", "least", "greatest"):
        table.add_column(name, justify="right")
    for number, c in enumerate(channels[:SHOWN]):
        table.add_row(str(number), *(f"{c[name]:.4g}" for name in ("mean", "std", "min", "max")))
    if len(channels) > SHOWN:
        table.caption = f"and {len(channels) - SHOWN} more"
    return table


def _classes(classes: dict[str, dict[str, int]]) -> Table:
    table = Table("class", title="labels", title_justify="left")
    table.add_column("to learn from", justify="right")
    table.add_column("to score on", justify="right")
    for name, sides in list(classes.items())[:2 * SHOWN]:
        table.add_row(escape(name), *(f"{sides[side]:,}" for side in ("train", "test")))
    if len(classes) > 2 * SHOWN:
        table.caption = f"and {len(classes) - 2 * SHOWN} more"
    return table


def _findings(findings: list[dict]) -> Table | str:
    if not findings:
        return "[green]nothing was found that should worry you[/]"
    table = Table.grid(padding=(0, 2, 1, 0))
    table.title, table.title_justify = f"{len(findings)} finding{'s' * (len(findings) != 1)}", "left"
    for each in findings:
        shown = [f"[dim]{escape(piece)}[/]" for piece in each["evidence"][:NAMED]]
        more = [f"[dim]and {len(each['evidence']) - NAMED:,} more[/]"] if len(each["evidence"]) > NAMED else []
        table.add_row(f"[{STYLES[each['severity']]}]{each['severity']}[/]",
                      "\n".join([f"[bold]{each['topic']}:[/] {escape(each['sentence'])}", escape(each["advice"]), *shown, *more]))
    return table
