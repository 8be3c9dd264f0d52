"""``unveil select``."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from unveil.commands.words import OUT, command, options_of, print_json, say
from unveil.health.criteria import CRITERIA
from unveil.wording import escape


def add(commands) -> None:
    new = command(commands, "select", run, "Pick a snapshot or a run without labels, and say how often such picks are right.",
                  "  unveil select runs/photos-simclr\n"
                  "  unveil select runs/photos-simclr runs/photos-mae --by rankme", data=True)
    new.add_argument("runs", nargs="+", type=Path, help="a run with snapshots (--train.snapshots 10), or several runs or encoders")
    new.add_argument("--data", help="what all of them read (default: what the runs were taught on)")
    new.add_argument("--by", help=f"criterion: {', '.join(CRITERIA)}")
    new.add_argument("--seed", type=int, default=0, help="of the views (default 0)")
    new.add_argument("--results", type=Path, default=Path("results"), help="folder of result rows (default %(default)s)")


def run(given, settings) -> None:
    from unveil.api import selecting
    from unveil.studies import picks
    by = given.by or selecting.DEFAULT
    contests = picks.contests(given.results)
    records, trust = picks.records(contests), picks.in_words(contests, by)
    found = selecting.select(given.runs, given.data, by=by, options=options_of(given), seed=given.seed, say=say(given))
    if given.json:
        ranked = [vars(each) | {"findings": [finding.to_json() for finding in each.findings], "folder": str(each.folder)} for each in found]
        print_json({"by": by, "pick": str(found[0].folder), "ranked": ranked, "records": {name: vars(r) for name, r in records.items()},
                    "trust": trust})
        return
    OUT.print(_ranking(found, by))
    for each in found:
        for finding in each.findings:
            OUT.print(f"[yellow]{escape(f'{each.name}: {finding.sentence}')}[/]")
    _tell(found, CRITERIA[by])
    if records:
        OUT.print(_records(records, by))
    for sentence in trust:
        OUT.print(escape(sentence), soft_wrap=False)
    OUT.print(escape(f"encoder  {found[0].folder}"))


def _ranking(found, by: str) -> Table:
    shown = Table(title=f"picked by {by}, without labels", title_justify="left", padding=(0, 0, 0, 1), show_edge=False)
    shown.add_column("encoder", overflow="fold")
    order = sorted(CRITERIA, key=lambda name: name != by)
    for name in order:
        shown.add_column(CRITERIA[name].heading, justify="right", style="bold" if name == by else None)
    for each in found:
        values = (each.figures.get(f"embedding/{CRITERIA[name].figure}") for name in order)
        shown.add_row(escape(each.name), *("" if value is None else f"{value:.3g}" for value in values))
    return shown


def _tell(found, criterion) -> None:
    """The pick, and whether it hangs on the samples."""
    OUT.print(f"pick: [bold]{escape(found[0].name)}[/], whose {criterion.heading} is "
              f"{'nearest 1' if criterion.wanted == 'near 1' else f'{criterion.wanted}est'} ({criterion.source})")
    halves = [max(found, key=lambda each, half=half: getattr(each, half)).name for half in ("first_half", "second_half")]
    if others := sorted(set(halves) - {found[0].name}):
        OUT.print(escape(f"Half of the samples would have given {' or '.join(others)}: by this figure they are not told apart."),
                  soft_wrap=False)


def _records(records, by: str) -> Table:
    shown = Table(title="stored results: accuracy lost by picks without labels", title_justify="left", padding=(0, 0, 0, 1),
                  show_edge=False)
    for heading in ("criterion", "wanted", "pick of the labels", "95% interval", "lost", "at random"):
        shown.add_column(heading, justify="left" if heading in ("criterion", "wanted") else "right")
    for name, held in records.items():
        shown.add_row(name, CRITERIA[name].wanted, f"{held.hits} of {held.n}", f"{held.low:.0%} to {held.high:.0%}", f"{held.regret:.3f}",
                      f"{held.chance_regret:.3f}", style="bold" if name == by else None)
    return shown
