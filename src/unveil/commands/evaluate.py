"""``unveil evaluate``."""

from __future__ import annotations

from unveil.commands.words import OUT, budgets, command, numbers, options_of, print_json, say, table
from unveil.wording import escape


def add(commands) -> None:
    new = command(commands, "evaluate", run, "Judge an encoder, or features from elsewhere, on labelled data.",
                  "  unveil evaluate runs/photos-simclr --data labelled/ --labels folders\n"
                  "  unveil evaluate runs/photos-simclr --data labelled/ --tasks all --out judged\n"
                  "  unveil evaluate features.npz --labels y.csv", judged=True, data=True)
    new.add_argument("target", help="folder of a run or encoder, or an .npz of features")
    new.add_argument("--data", help="labelled data")
    new.add_argument("--tasks", metavar="NAMES", help="such as linear,knn,few-shot, or all (default linear,knn,network); unveil list tasks")
    new.add_argument("--out", metavar="FOLDER", help="for results.json: every figure with its interval, protocol and origin")


def run(given, settings) -> None:
    from unveil import api
    tasks = given.tasks if given.tasks in (None, "all") else [name.strip() for name in given.tasks.split(",")]
    rows = api.evaluate(given.target, given.data, tasks=tasks, hold_out=numbers(given.hold_out), budgets=budgets(given.budgets),
                        seed=given.seed, networks=not given.frozen, options=options_of(given), out=given.out, say=say(given))
    if given.json:
        return print_json({"rows": rows})
    OUT.print(table(rows))
    OUT.print(f"results  {escape(given.out)}/results.json" if given.out else "--out FOLDER keeps every figure with its interval")
